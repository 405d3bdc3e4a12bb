package keys_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/server/keys"
)

// try is ask that may be refused; an Idempotency-Key goes with it.
func (o *office) try(once, path, body string) (any, error) {
	o.t.Helper()
	for _, r := range o.Routes() {
		if r.Method == "POST" && r.Path == path {
			ctx := api.WithActor(o.t.Context(), api.Actor{ID: "admin", Role: api.Super, Once: once, Endpoint: "POST " + path, Body: []byte(body)})
			return r.Do(ctx, &api.Request{Body: []byte(body)})
		}
	}
	o.t.Fatalf("no route %s", path)
	return nil, nil
}

// restore takes a snapshot back over what is there.
func (o *office) restore(s keys.Snapshot) keys.Restored {
	o.t.Helper()
	out, err := o.Restore(o.t.Context(), keys.RestoreIn{Snapshot: &s, Mode: "overwrite"})
	if err != nil {
		o.t.Fatal(err)
	}
	if len(out.Warnings) > 0 {
		o.t.Errorf("the restore warns: %v", out.Warnings)
	}
	return out.Results["keys"]
}

func (o *office) snapshot() keys.Snapshot {
	o.t.Helper()
	s, err := o.TakeSnapshot(context.Background(), "test", nil)
	if err != nil {
		o.t.Fatal(err)
	}
	return s
}

func TestARestoreGivesNoCreditsForWhatIsHeld(t *testing.T) {
	t.Parallel()
	o := open(t, pricing.Plan{})
	id := o.key("")
	o.ask("POST", "/keys/reserve", `{"key":"`+id+`","credits":4}`)
	o.restore(o.snapshot())
	if k := o.book.Key(id); k.Credits != 10 || k.Held != 4 {
		t.Errorf("after the restore it has %d, %d of it held; want 10 and 4", k.Credits, k.Held)
	}
}

func TestARichKeyIsRestoredAndWrittenOffWhole(t *testing.T) {
	t.Parallel()
	o := open(t, pricing.Plan{})
	id := o.key("")
	for range 3 {
		o.ask("POST", "/topup", `{"key":"`+id+`","credits":1000000000}`)
	}
	const rich = 3_000_000_010
	s := o.snapshot()
	o.ask("POST", "/keys/revoke", `{"key":"`+id+`"}`)
	if k := o.book.Key(id); k.Credits != 0 {
		t.Errorf("revoked, it still has %d", k.Credits)
	}
	other := open(t, pricing.Plan{})
	if n := other.restore(s); n.Imported != 1 || other.book.Key(id).Credits != rich {
		t.Errorf("%+v, it has %d", n, other.book.Key(id).Credits)
	}
}

func TestARestoreKeepsPlanAndGroup(t *testing.T) {
	t.Parallel()
	o := open(t, pricing.Plan{Name: "pro"})
	id := o.key("pro")
	o.ask("POST", "/keys/group", `{"key":"`+id+`","group":"blue"}`)
	s := o.snapshot()
	other := open(t, pricing.Plan{Name: "pro"})
	other.restore(s)
	if terms := other.Terms(id); terms.Plan != "pro" || terms.Group != "blue" {
		t.Errorf("restored it is on plan %q in group %q", terms.Plan, terms.Group)
	}
}

func TestAHostileSnapshotHarmsNothing(t *testing.T) {
	t.Parallel()
	o := open(t, pricing.Plan{})
	id := o.key("")
	long := strings.Repeat("x", 40_000)
	rows := []string{
		`{"id":"` + long + `","hash":"1","credits":5}`, `{"id":"a","hash":"` + long + `","credits":5}`, `{"id":"b","hash":"2","credits":-5}`,
		`{"id":"c","hash":"3","credits":9223372036854775807}`, `{"hash":"","credits":5}`, `{"id":"d","hash":"4","credits":5}`, `{"id":"e","hash":"4","credits":5}`}
	data := fmt.Sprintf(`{"keys":[%s]}`, strings.Join(rows, ","))
	s := o.snapshot()
	s.Data = json.RawMessage(data)
	s.Checksum = keys.Checksum(s.Data)
	out, err := o.Restore(t.Context(), keys.RestoreIn{Snapshot: &s})
	if err != nil {
		t.Fatal(err)
	}
	if n := out.Results["keys"]; n.Imported != 1 || n.Errors != 5 || n.Skipped != 1 {
		t.Errorf("%+v %.300q", n, out.Warnings)
	}
	if _, err := o.try("", "/topup", `{"key":"`+id+`","credits":1}`); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	proof, err := o.book.Verify(t.Context(), nil)
	if err != nil || !proof.OK() {
		t.Errorf("the books: %v %v", proof.Faults, err)
	}
	o.restart()
}

func TestACommitAskedTwiceIsAnsweredTwiceAndDoneOnce(t *testing.T) {
	t.Parallel()
	o := open(t, pricing.Plan{})
	id := o.key("")
	var held struct {
		ID string `json:"id"`
	}
	text, err := json.Marshal(o.ask("POST", "/keys/reserve", `{"key":"`+id+`","credits":4}`))
	if err != nil || json.Unmarshal(text, &held) != nil || held.ID == "" {
		t.Fatalf("%s %v", text, err)
	}
	body := `{"reservationId":"` + held.ID + `"}`
	first, err := o.try("once", "/keys/reserve/commit", body)
	if err != nil {
		t.Fatal(err)
	}
	again, err := o.try("once", "/keys/reserve/commit", body)
	if err != nil || fmt.Sprint(again) != fmt.Sprint(first) {
		t.Errorf("the second time: %v %v", again, err)
	}
	if _, err := o.try("twice", "/keys/reserve/commit", body); err == nil {
		t.Error("under another key it was committed again")
	}
	if k := o.book.Key(id); k.Credits != 6 || k.Held != 0 {
		t.Errorf("it has %d, %d held", k.Credits, k.Held)
	}
}

func TestFailedLoginsDoNotFillTheDisk(t *testing.T) {
	t.Parallel()
	o := open(t, pricing.Plan{})
	before := o.book.Journal().Last()
	for range 200 {
		o.Failed("unknown", "GET", "/keys", nil, api.Viewer)
	}
	if n := o.book.Journal().Last() - before; n == 0 || n > 25 { // the boot is among them
		t.Errorf("%d of 200 in one second were recorded", n)
	}
}
