package gate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"paygate/pricing"
	"paygate/server/gate"
	"paygate/server/mcp"
	"paygate/store/journal"
	"paygate/store/ledger"
)

func TestAnAnsweredCallIsChargedOnDisk(t *testing.T) {
	t.Parallel()
	r := newRig(t, allows("first"), allows("second"))
	r.fund("key_a", 5)
	c := r.call("key_a")
	if err := r.do(c); err != nil || string(c.Result.Result) != `{"content":[]}` {
		t.Fatalf("%v, %v", c.Result, err)
	}
	if on := r.Book.Totals().Seq; on < c.SettleSeq {
		t.Errorf("the answer left at %d, the disk has %d", c.SettleSeq, on)
	}
	if c.Settlement.Charged != 2 || c.Settlement.Left != 3 {
		t.Errorf("%+v", c.Settlement)
	}
	if got := r.recorded(); got.ID != c.ID || got.Outcome != pricing.OK || got.Charged != 2 || got.Out != int64(len(`{"content":[]}`)) {
		t.Errorf("recorded %+v", got)
	}
	r.owns("key_a", 3)
	r.saw(c, "first ok ", "second ok ", "hold ok 2 held", "settle ok 2 charged, on disk")
}

// How a call ends decides what it costs and what is on record. Only an answer
// costs; the sheet of these tests gives failures back.
func TestWhatAnEndCosts(t *testing.T) {
	t.Parallel()
	refuse := gate.Deny("guardrail_blocked")
	for name, end := range map[string]struct {
		res     *mcp.Message
		err     error
		panics  bool
		outcome pricing.Outcome
		class   string
		charged pricing.Credits
	}{
		"an answer":           {res: result(`{"content":[]}`), outcome: pricing.OK, class: "ok", charged: 2},
		"isError":             {res: result(`{"isError":true,"content":[]}`), outcome: pricing.Failed, class: "tool_error"},
		"isError as a word":   {res: result(`{"content":[{"text":"\"isError\":true"}],"isError":false}`), outcome: pricing.OK, class: "ok", charged: 2},
		"an error":            {res: &mcp.Message{Error: &mcp.Error{Code: -32000, Message: "broken"}}, outcome: pricing.Failed, class: "upstream_error"},
		"no answer":           {err: fmt.Errorf("%w: it exited", mcp.ErrLost), outcome: pricing.Lost, class: "upstream_error"},
		"a client that left":  {err: fmt.Errorf("%w: %w", mcp.ErrLost, context.Canceled), outcome: pricing.Lost, class: "cancelled"},
		"no time left":        {err: gate.TimedOut(1), outcome: pricing.Lost, class: "timeout"},
		"a wrap that refuses": {err: refuse, outcome: pricing.Denied, class: "denied"},
		"a bug":               {panics: true, outcome: pricing.Lost, class: "upstream_error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.fund("key_a", 5)
			r.answer = func(context.Context, *gate.Call) (*mcp.Message, error) {
				if end.panics {
					panic("a bug")
				}
				return end.res, end.err
			}
			c := r.call("key_a")
			if err := r.do(c); (err != nil) != (end.err != nil || end.panics) || end.err != nil && !errors.Is(err, end.err) {
				t.Errorf("Do gave %v, want %v", err, end.err)
			}
			if got := r.recorded(); got.Outcome != end.outcome || got.Class != end.class || got.Charged != end.charged {
				t.Errorf("recorded %v %s charged %d, want %v %s %d", got.Outcome, got.Class, got.Charged, end.outcome, end.class, end.charged)
			}
			r.owns("key_a", 5-end.charged)
		})
	}
}

func TestEveryReasonIsRecordedAndTheFirstIsAnswered(t *testing.T) {
	t.Parallel()
	r := newRig(t, allows("fine"), denies("schema", "schema_mismatch"), denies("suspended", "key_suspended"), denies("access", "tool_denied"))
	r.fund("key_a", 1) // not enough, too
	c := r.call("key_a")
	err := r.do(c)
	var denial *gate.Denial
	if !errors.As(err, &denial) || denial.Reason != "key_suspended" || denial.Check != "suspended" {
		t.Fatalf("%v", err)
	}
	want := []string{"key_suspended", "tool_denied", "insufficient_credits", "schema_mismatch"}
	got := slices.Clone(r.recorded().Findings)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
	if r.ran.Load() != 0 {
		t.Error("the server was asked")
	}
	r.owns("key_a", 1)
}

func TestWithoutAKeyNothingElseIsKnown(t *testing.T) {
	t.Parallel()
	asked := false
	r := newRig(t, gate.Check{Name: "identify", Do: func(*gate.Call) *gate.Denial { return gate.DenyAndStop("missing_api_key") }},
		gate.Check{Name: "later", Do: func(*gate.Call) *gate.Denial { asked = true; return nil }})
	c := &gate.Call{}
	c.ID = "req_0000000000000001"
	var denial *gate.Denial
	if err := r.do(c); !errors.As(err, &denial) || denial.Reason != "missing_api_key" || asked {
		t.Errorf("%v, later checks asked: %v", err, asked)
	}
	r.saw(c, "identify deny missing_api_key")
}

func TestTheBookSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.fund("key_a", 1)
	var denial *gate.Denial
	if err := r.do(r.call("key_a")); !errors.As(err, &denial) || denial.Reason != "insufficient_credits" || denial.Need != 2 || denial.Have != 1 {
		t.Errorf("%+v", denial)
	}
}

func TestManyCallersNeverOverdraw(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.fund("key_a", 21)
	var answered, refused atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			var denial *gate.Denial
			switch err := r.do(r.call("key_a")); {
			case err == nil:
				answered.Add(1)
			case errors.As(err, &denial):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	for r.Book.Key("key_a").Credits >= 2 { // some were refused while others held what they did not spend
		if err := r.do(r.call("key_a")); err != nil {
			t.Fatal(err)
		}
		answered.Add(1)
	}
	if answered.Load() != 10 || r.ran.Load() != 10 {
		t.Errorf("%d answered, %d ran; 21 credits pay 10", answered.Load(), r.ran.Load())
	}
	r.owns("key_a", 1)
}

func TestADiskThatTakesNothingStopsTheCalls(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.fund("key_a", 100)
	c := r.call("key_a")
	r.answer = func(context.Context, *gate.Call) (*mcp.Message, error) {
		r.fault.Store(true) // while it runs
		return result(`{"secret":1}`), nil
	}
	if err := r.do(c); !errors.Is(err, ledger.ErrUnavailable) || c.Result != nil {
		t.Errorf("%v, %v: an answer that is not on disk must not leave", err, c.Result)
	}
	if err := r.do(r.call("key_a")); !errors.Is(err, ledger.ErrUnavailable) || r.ran.Load() != 1 {
		t.Errorf("%v, %d calls reached the server", err, r.ran.Load())
	}
	r.fault.Store(false)
	r.answer = func(context.Context, *gate.Call) (*mcp.Message, error) { return result(`{}`), nil }
	for {
		err := r.do(r.call("key_a"))
		if err == nil {
			break
		}
		if !errors.Is(err, ledger.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	r.owns("key_a", 98)
}

func TestShadowModeRecordsAndMovesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, allows("fine"))
	r.fund("key_a", 1)
	if err := r.Book.SetMode(t.Context(), true, "test"); err != nil {
		t.Fatal(err)
	}
	r.way.Observe = true
	c := r.call("key_a")
	if err := r.do(c); err != nil {
		t.Fatal(err)
	}
	if got := r.recorded(); got.Outcome != pricing.OK || !slices.Equal(got.Findings, []string{"insufficient_credits"}) || got.Charged != 0 || !got.Observed {
		t.Errorf("recorded %+v", got)
	}
	r.saw(c, "fine ok ", "hold would insufficient_credits", "settle ok 0 charged, on disk")
	r.owns("key_a", 1)
}

func TestAskMovesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.fund("key_a", 3)
	for range 3 {
		if d, err := r.Ask(&r.way, r.call("key_a")); d != nil || err != nil {
			t.Fatalf("%v, %v", d, err)
		}
	}
	if n := r.Book.Totals().Open; n != 0 || r.ran.Load() != 0 {
		t.Errorf("%d calls are open, %d ran", n, r.ran.Load())
	}
	poor := r.call("key_poor")
	if d, err := r.Ask(&r.way, poor); err != nil || d == nil || d.Reason != "insufficient_credits" {
		t.Errorf("%v, %v", d, err)
	}
	r.owns("key_a", 3)
}

func TestABatchIsAdmittedWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.fund("key_a", 5)
	calls := func(n int) (all []*gate.Call) {
		for range n {
			all = append(all, r.call("key_a"))
		}
		return all
	}
	three := calls(3) // 6 credits
	failed, err := r.DoAll(t.Context(), &r.way, three)
	var denial *gate.Denial
	if !errors.As(err, &denial) || failed != 2 || denial.Reason != "insufficient_credits" || r.ran.Load() != 0 {
		t.Errorf("%d failed: %v; %d ran", failed, err, r.ran.Load())
	}
	for i, c := range three[:2] {
		if len(c.Denials) != 1 || c.Denials[0].Reason != "batch_rejected" {
			t.Errorf("call %d: %+v", i, c.Denials)
		}
	}
	r.owns("key_a", 5)
	two := calls(2)
	if failed, err := r.DoAll(t.Context(), &r.way, two); failed != -1 || err != nil {
		t.Errorf("%d failed: %v", failed, err)
	}
	for _, c := range two {
		if c.Result == nil || c.Settlement.Charged != 2 {
			t.Errorf("%+v", c.Settlement)
		}
	}
	r.owns("key_a", 1)
}

func TestLimitsOfChecksAreTakenTogether(t *testing.T) {
	t.Parallel()
	r := newRig(t, gate.Check{Name: "quota", Do: func(c *gate.Call) *gate.Denial {
		c.Limits = append(c.Limits, journal.Limit{Owner: journal.KeyAccount(c.Key), Kind: journal.DailyCalls, Max: 2})
		return nil
	}})
	r.fund("key_a", 100)
	for range 2 {
		if err := r.do(r.call("key_a")); err != nil {
			t.Fatal(err)
		}
	}
	var denial *gate.Denial
	if err := r.do(r.call("key_a")); !errors.As(err, &denial) || denial.Reason != "daily_call_quota_exceeded" || denial.RetryAfter <= 0 {
		t.Errorf("%+v", denial)
	}
	r.owns("key_a", 96)
}
