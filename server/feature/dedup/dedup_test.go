package dedup

import (
	"container/list"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/server/gate"
	"paygate/server/mcp"
)

// desk is the feature without a disk, at a time that the test sets.
type desk struct {
	*testing.T
	*Dedup
	at time.Time
}

func newDesk(t *testing.T) *desk {
	t.Parallel()
	k := &desk{T: t, at: time.Unix(1_800_000_000, 0)}
	k.Dedup = &Dedup{now: func() time.Time { return k.at }, entries: map[name]*entry{}, ended: list.New(), owners: map[string]*list.List{},
		config: settings{Enabled: true, TTLMs: 1000, MaxEntries: 100}}
	return k
}

// ask is a request under a key, looked at.
func (k *desk) ask(caller, given, args string) (*gate.Call, *gate.Denial) {
	c := &gate.Call{Args: json.RawMessage(args), Request: &mcp.Message{}, Header: func(name string) string {
		if name == "Idempotency-Key" {
			return given
		}
		return ""
	}}
	c.Key, c.Tool = caller, "tool"
	return c, k.Check().Do(c)
}

// first asks, and ends the call well; it must be the first of its name.
func (k *desk) first(caller, given, answer string) {
	k.Helper()
	c, denial := k.ask(caller, given, "{}")
	if denial != nil || c.Named == nil {
		k.Fatalf("%s of %s is not the first of its name: %v", given, caller, denial)
	}
	c.Outcome, c.Result = pricing.OK, &mcp.Message{Result: json.RawMessage(answer)}
	c.Named.Over(c, nil)
}

// again is what a repeated request gets.
func (k *desk) again(caller, given string) gate.Earlier {
	k.Helper()
	c, denial := k.ask(caller, given, "{}")
	if denial != nil || c.Again == nil {
		k.Fatalf("%s of %s repeats nothing: %v", given, caller, denial)
	}
	return c.Again(k.Context())
}

func TestNobodyPushesOutWhatOthersRelyOn(t *testing.T) {
	k := newDesk(t)
	k.first("quiet", "one", `"kept"`)
	for i := range 300 {
		k.first("loud", fmt.Sprint(i), `"x"`)
	}
	if got := k.again("quiet", "one"); got.Err != nil || string(got.Result.Result) != `"kept"` {
		t.Errorf("after another's flood: %+v", got)
	}
	if got := k.again("loud", "299"); got.Err != nil {
		t.Errorf("the flood's own newest: %+v", got)
	}
	var rpc *mcp.Error
	if got := k.again("loud", "0"); !errors.As(got.Err, &rpc) || !strings.Contains(rpc.Message, "no longer kept") {
		t.Errorf("the flood's own oldest would be charged again: %+v", got)
	}
	if len(k.entries) != 301 || k.kept != 100 {
		t.Errorf("%d names are known and %d answers kept, of 301 and 100", len(k.entries), k.kept)
	}
	k.first("late", "one", `"x"`) // somebody with nothing takes the place of one of the loud
	if got := k.again("quiet", "one"); got.Err != nil {
		t.Errorf("after a latecomer: %+v", got)
	}
}

// What is under way, and what was charged not long ago, is never forgotten.
func TestTooManyNamesAreRefused(t *testing.T) {
	k := newDesk(t)
	for i := range 1000 {
		if i%2 == 0 {
			k.first("a", fmt.Sprint(i), `"x"`)
		} else if _, denial := k.ask("a", fmt.Sprint(i), "{}"); denial != nil { // it goes on
			t.Fatal(denial)
		}
	}
	if _, denial := k.ask("a", "more", "{}"); denial == nil || denial.RetryAfter == 0 || !strings.Contains(denial.Message, "too_many_idempotency_keys") {
		t.Errorf("one more: %+v", denial)
	}
	for i := range 1000 {
		if c, denial := k.ask("a", fmt.Sprint(i), "{}"); denial != nil || c.Again == nil {
			t.Fatalf("%d is not known any more: %v", i, denial)
		}
	}
	k.at = k.at.Add(time.Second)
	k.first("a", "more", `"x"`)
}

func TestAnAnswerIsKeptForItsTime(t *testing.T) {
	k := newDesk(t)
	k.first("a", "one", `"x"`)
	k.at = k.at.Add(999 * time.Millisecond)
	k.again("a", "one")
	k.at = k.at.Add(time.Millisecond)
	k.first("a", "one", `"y"`)
	if len(k.owners) != 1 || k.ended.Len() != 1 {
		t.Errorf("%d entries of %d callers are kept", k.ended.Len(), len(k.owners))
	}
}

func TestWhatIsTooMuchIsForgottenButNotThatItWasCharged(t *testing.T) {
	k := newDesk(t)
	long := `"` + strings.Repeat("x", mostBytes*2/3) + `"`
	k.first("a", "one", long)
	k.first("a", "two", long)
	var rpc *mcp.Error
	if got := k.again("a", "one"); !errors.As(got.Err, &rpc) || !strings.Contains(rpc.Message, "no longer kept") {
		t.Errorf("the older: %v", got.Err)
	}
	if got := k.again("a", "two"); got.Err != nil {
		t.Errorf("the newer: %v", got.Err)
	}
}

func TestWhichRequestsAreTheSame(t *testing.T) {
	k := newDesk(t)
	k.config.MaxEntries = 1000
	for i, c := range []struct {
		one, other string
		same       bool
	}{
		{`{"a":1,"b":{"c":2,"d":[1,2]}}`, `{ "b":{"d":[1,2],"c":2}, "a":1 }`, true},
		{`{"a":"é"}`, `{"a":"\u00e9"}`, true},
		{``, `{}`, true},
		{`{"a":[1,2]}`, `{"a":[2,1]}`, false},
		{`{"a":12345678901234567890}`, `{"a":12345678901234567891}`, false},
		{`{"a":1}`, `{"a":"1"}`, false},
		{`{"a":null}`, `{}`, false},
	} {
		name := fmt.Sprint("name ", i)
		if _, denial := k.ask("a", name, c.one); denial != nil {
			t.Fatal(denial)
		}
		again, denial := k.ask("a", name, c.other)
		if got := denial == nil && again.Again != nil; got != c.same {
			t.Errorf("%s and %s: the same %t, want %t", c.one, c.other, got, c.same)
		}
	}
	if _, denial := k.ask("a", strings.Repeat("x", longestKey+1), "{}"); denial == nil || denial.Code != mcp.CodeInvalidParams {
		t.Errorf("a key that is too long: %+v", denial)
	}
}
