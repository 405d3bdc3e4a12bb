package keys_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/server/keys"
	"paygate/store/journal"
	"paygate/store/ledger"
	"paygate/testdata/books"
	"paygate/testdata/clock"
)

// office is keys over books whose time only the test moves.
type office struct {
	t     *testing.T
	dir   string
	hands *clock.Hands
	plan  pricing.Plan
	book  *ledger.Book
	*keys.Directory
}

func (o *office) now() time.Time  { return o.hands.Now() }
func (o *office) set(t time.Time) { o.hands.Set(t) }

func open(t *testing.T, plan pricing.Plan) *office {
	t.Helper()
	o := &office{t: t, dir: t.TempDir(), plan: plan, hands: clock.At(time.Date(2026, 3, 30, 12, 0, 0, 0, time.UTC))}
	o.begin()
	t.Cleanup(func() { _ = o.book.Close() })
	return o
}

func (o *office) begin() {
	o.t.Helper()
	o.book = books.Open(o.t, o.dir, ledger.Options{Now: o.now, Tables: keys.Tables()})
	var err error
	o.Directory, err = keys.Open(keys.Options{Book: o.book, Now: o.now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler), Plan: func(t *keys.Terms) *pricing.Plan {
		if t.Plan != o.plan.Name {
			return nil
		}
		return &o.plan
	}})
	if err != nil {
		o.t.Fatal(err)
	}
}

// restart closes and opens, as a restart does.
func (o *office) restart() {
	o.t.Helper()
	if err := o.book.Close(); err != nil {
		o.t.Fatal(err)
	}
	o.begin()
}

// ask uses a route as an admin.
func (o *office) ask(method, path, body string) any {
	o.t.Helper()
	for _, r := range o.Routes() {
		if r.Method == method && r.Path == path {
			ctx := api.WithActor(o.t.Context(), api.Actor{ID: "admin", Role: api.Super})
			out, err := r.Do(ctx, &api.Request{Body: []byte(body)})
			if err != nil {
				o.t.Fatalf("%s %s: %v", method, path, err)
			}
			return out
		}
	}
	o.t.Fatalf("no route %s %s", method, path)
	return nil
}

// key makes one with 10 credits and gives its id.
func (o *office) key(plan string) string {
	o.t.Helper()
	o.ask("POST", "/keys", `{"name":"agent","credits":10,"plan":"`+plan+`"}`)
	active := o.Active()
	return active[len(active)-1].ID
}

// at moves time and lets plans give what they owe, several times.
func (o *office) at(when string) {
	o.t.Helper()
	at, err := time.Parse(time.DateTime, when)
	if err != nil {
		o.t.Fatal(err)
	}
	o.set(at)
	for range 3 {
		if err := o.TurnAll(o.t.Context()); err != nil {
			o.t.Fatal(err)
		}
	}
}

// spend takes credits of a key as a call does.
func (o *office) spend(id string, n pricing.Credits) {
	o.t.Helper()
	c := &ledger.Call{Price: pricing.FromTools(pricing.ToolPrice{PerCall: n}, nil, false)}
	c.ID, c.Key, c.Payer, c.Tool, c.Sheet = "call at "+o.now().String(), id, string(journal.KeyAccount(id)), "echo", c.Price.Hash()
	if err := o.book.Reserve(c); err != nil {
		o.t.Fatal(err)
	}
	c.Outcome = pricing.OK
	if err := o.book.Wait(context.Background(), o.book.Settle(c).Seq); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) has(id string, want pricing.Credits) {
	o.t.Helper()
	if got := o.book.Key(id).Credits; got != want {
		o.t.Errorf("at %s it has %d, want %d", o.now().Format(time.DateTime), got, want)
	}
}

func TestAGrantComesOnceAMonthAndWhatIsLeftOfItExpires(t *testing.T) {
	t.Parallel()
	o := open(t, pricing.Plan{Name: "free", Grant: 500, GrantPer: "month", Expires: true, Rollover: 20})
	id := o.key("free")
	o.has(id, 510)
	o.at("2026-03-31 23:59:59")
	o.has(id, 510)
	o.spend(id, 100)
	o.restart()
	o.at("2026-04-01 00:00:00")
	o.has(id, 10+20+500) // of 400 left, 20 roll over
	o.restart()
	o.at("2026-04-02 00:00:00")
	o.has(id, 530)
	o.spend(id, 525) // more than the grant and what was rolled over
	o.at("2026-07-04 00:00:00")
	o.has(id, 5+20+500) // May and June were granted, and expired but for 20
	if p, err := o.book.Verify(t.Context(), nil); err != nil || !p.OK() {
		t.Errorf("%v %q", err, p.Faults)
	}
}

func TestGrantsThatDoNotExpireAreAllGivenThoughTheGatewayWasDown(t *testing.T) {
	t.Parallel()
	o := open(t, pricing.Plan{Name: "daily", Grant: 5, GrantPer: "day"})
	id := o.key("daily")
	o.has(id, 15)
	o.restart()
	o.at("2026-04-02 08:00:00")
	o.has(id, 10+4*5) // 30 and 31 March, 1 and 2 April
}

func TestAPlanThatIsLeftAndTakenAgainGrantsNothingTwice(t *testing.T) {
	t.Parallel()
	o := open(t, pricing.Plan{Name: "free", Grant: 500, GrantPer: "month", Expires: true})
	id := o.key("")
	o.has(id, 10)
	for range 3 {
		o.ask("POST", "/keys/plan", `{"key":"`+id+`","plan":"free"}`)
		o.has(id, 510)
		o.ask("POST", "/keys/plan", `{"key":"`+id+`","plan":""}`)
	}
	o.at("2026-04-01 00:00:00")
	o.has(id, 510) // on no plan, nothing expires and nothing comes
}

func TestALowBalanceIsToppedUpSoOftenADay(t *testing.T) {
	t.Parallel()
	o := open(t, pricing.Plan{Name: "pro", TopUp: pricing.TopUp{Below: 5, Add: 10, PerDay: 2}})
	id := o.key("pro")
	topUp := func(want pricing.Credits) {
		t.Helper()
		got, err := o.TopUp(t.Context(), id)
		if err != nil || got != want {
			t.Errorf("topped up by %d, want %d (%v)", got, want, err)
		}
	}
	topUp(0)
	for range 2 {
		o.set(o.now().Add(time.Second))
		o.spend(id, o.book.Key(id).Credits-4)
		topUp(10)
		topUp(0)
	}
	o.spend(id, 10)
	topUp(0) // twice is enough for a day
	o.restart()
	topUp(0)
	o.at("2026-03-31 00:00:00")
	topUp(10)
}
