package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"paygate/pricing"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// machine does the same things to a Book and to a model of it.
type machine struct {
	*rig
	t     *rapid.T
	m     *model
	would *model // of shadow mode; nil while calls are charged
	calls map[string]*ledger.Call
	n     int
}

var keys = []string{"key_a", "key_b", "key_c"}

func (x *machine) key() string { return rapid.SampledFrom(keys).Draw(x.t, "key") }

func (x *machine) id() string {
	x.n++
	return fmt.Sprintf("req_%016x", x.n)
}

func (x *machine) TopUp(t *rapid.T) {
	key, n := x.key(), pricing.Credits(rapid.IntRange(1, 30).Draw(t, "credits"))
	x.topup(t, x.id(), key, n)
	x.m.balance[key] += n
	if x.would != nil {
		x.would.balance[key] += n
	}
}

func (x *machine) Transfer(t *rapid.T) {
	from, to := x.key(), x.key()
	n := pricing.Credits(rapid.IntRange(1, 30).Draw(t, "credits"))
	err := x.post(x.id(), journal.KeyAccount(from), journal.KeyAccount(to), n)
	if possible := x.m.available(from) >= n; possible != (err == nil) {
		t.Fatalf("transfer of %d with %d available: %v", n, x.m.available(from), err)
	}
	if err != nil {
		if !errors.Is(err, ledger.ErrInsufficient) {
			t.Fatal(err)
		}
		return
	}
	x.m.balance[from] -= n
	x.m.balance[to] += n
	if x.would != nil {
		x.would.balance[from] -= n
		x.would.balance[to] += n
	}
}

func (x *machine) limits(t *rapid.T, key string) []journal.Limit {
	var out []journal.Limit
	for _, k := range rapid.SliceOfNDistinct(rapid.IntRange(0, int(journal.Kinds)-1), 0, 3, rapid.ID[int]).Draw(t, "kinds") {
		l := journal.Limit{Owner: journal.KeyAccount(key), Kind: journal.Kind(k), Max: int64(rapid.IntRange(0, 12).Draw(t, "max"))}
		if l.Kind.Window() {
			l.Window = time.Minute
		} else if rapid.Bool().Draw(t, "shared") {
			l.Owner = "team:t"
		}
		out = append(out, l)
	}
	return out
}

func (x *machine) Reserve(t *rapid.T) {
	m, now := x.m, x.clock.Now()
	if x.would != nil {
		m = x.would
	}
	var ids []string
	var deals []*deal
	var calls []*ledger.Call
	n := rapid.SampledFrom([]int{1, 1, 1, 2, 3}).Draw(t, "batch")
	key := x.key()
	for i := range n {
		id, tool := x.id(), rapid.SampledFrom([]string{"plain", "dear", "free", "out"}).Draw(t, "tool")
		c := x.call(id, key, tool, x.limits(t, key)...)
		c.Observed, c.BatchN, c.BatchI = x.would != nil, n, i
		ids, calls = append(ids, id), append(calls, c)
		deals = append(deals, &deal{key: key, tool: tool, at: now, quote: x.sheet.Tool(tool).PerCall, limits: c.Limits})
	}
	asked := x.Ask(calls...)
	for _, c := range calls { // what Ask has noted is of no consequence
		c.Findings, c.Reasons = nil, nil
	}
	err := x.Book.Reserve(calls...)
	want := m.reserve(ids, deals)
	got := reasons(err)
	if x.would != nil {
		got = nil
		for _, c := range calls {
			got = append(got, slices.DeleteFunc(slices.Clone(c.Reasons), func(r string) bool { return r == "batch_rejected" })...)
		}
	} else if !slices.Equal(reasons(asked), got) {
		t.Fatalf("asked, the book said %q; then %q", reasons(asked), got)
	}
	if !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		t.Fatalf("refused for %q (%v), the model says %q", got, err, want)
	}
	if err == nil {
		for i, c := range calls {
			x.calls[ids[i]] = c
		}
	} else {
		for _, c := range calls {
			c.Outcome, c.Findings, c.Reasons = pricing.Denied, got, got
			x.Refuse(c)
		}
	}
}

func (x *machine) some(t *rapid.T) (string, *ledger.Call) {
	ids := slices.Sorted(maps.Keys(x.calls))
	if len(ids) == 0 {
		t.Skip("nothing is open")
	}
	id := rapid.SampledFrom(ids).Draw(t, "call")
	return id, x.calls[id]
}

func (x *machine) Settle(t *rapid.T) {
	id, c := x.some(t)
	if x.m.open[id] != nil && x.m.open[id].parked {
		t.Skip("parked")
	}
	x.settle(t, id, c)
}

func (x *machine) settle(t *rapid.T, id string, c *ledger.Call) {
	delete(x.calls, id)
	c.Outcome = rapid.SampledFrom([]pricing.Outcome{pricing.OK, pricing.OK, pricing.Failed, pricing.Lost}).Draw(t, "outcome")
	c.Out = int64(rapid.IntRange(0, 9000).Draw(t, "out"))
	c.Took = time.Duration(rapid.IntRange(0, 1000).Draw(t, "took")) * time.Millisecond
	charge, _ := pricing.Rate(&c.Call.Call, x.sheet, &pricing.Usage{})
	due := charge.Due
	m := x.m
	if c.Observed {
		m = x.would
	}
	set := x.Book.Settle(c)
	if err := x.Wait(context.Background(), set.Seq); err != nil {
		t.Fatal(err)
	}
	want := pricing.Credits(0)
	if m != nil && m.open[id] != nil {
		want = m.settle(id, due, c.Outcome)
	}
	if got := c.Charged + c.Would; got != want || c.Observed && c.Charged != 0 {
		t.Fatalf("%s: charged %d, would %d of %d due, the model says %d", id, c.Charged, c.Would, due, want)
	}
}

func (x *machine) Park(t *rapid.T) {
	id, c := x.some(t)
	d := x.m.open[id]
	if c.Observed || d == nil || d.parked {
		t.Skip("not to be parked")
	}
	d.until = x.clock.Now().Add(time.Duration(rapid.IntRange(1, 200).Draw(t, "minutes")) * time.Minute)
	if err := x.Book.Park(context.Background(), c, d.until); err != nil {
		t.Fatal(err)
	}
	d.parked = true
}

func (x *machine) Resume(t *rapid.T) {
	id, _ := x.some(t)
	d := x.m.open[id]
	if d == nil || !d.parked {
		t.Skip("not parked")
	}
	c, ok := x.Parked(id)
	if over := !x.clock.Now().Before(d.until); over == ok {
		t.Fatalf("parked until %v, now %v: found %t", d.until, x.clock.Now(), ok)
	}
	if ok {
		x.settle(t, id, c)
	}
}

func (x *machine) Hold(t *rapid.T) {
	key, id, n := x.key(), x.id(), pricing.Credits(rapid.IntRange(1, 20).Draw(t, "credits"))
	ttl := time.Duration(rapid.IntRange(1, 600).Draw(t, "minutes")) * time.Minute
	_, err := x.Book.Hold(context.Background(), ledger.HoldRequest{ID: id, Key: key, Credits: n, TTL: ttl, Actor: "test"})
	if possible := x.m.available(key) >= n; possible != (err == nil) {
		t.Fatalf("hold of %d with %d available: %v", n, x.m.available(key), err)
	}
	if err == nil {
		d := &deal{key: key, at: x.clock.Now(), quote: n, until: x.clock.Now().Add(ttl)}
		x.m.holds[id] = d
		if x.would != nil {
			x.would.holds[id] = d
		}
	}
}

func (x *machine) EndHold(t *rapid.T) {
	ids := slices.Sorted(maps.Keys(x.m.holds))
	if len(ids) == 0 {
		t.Skip("nothing is reserved")
	}
	id := rapid.SampledFrom(ids).Draw(t, "hold")
	d, now := x.m.holds[id], x.clock.Now()
	take := rapid.Bool().Draw(t, "take")
	var err error
	if take {
		_, err = x.CommitHold(context.Background(), id, "test", nil)
	} else {
		_, err = x.ReleaseHold(context.Background(), id, "test", nil)
	}
	if over := !now.Before(d.until); over && take != errors.Is(err, ledger.ErrNoHold) || !over && err != nil {
		t.Fatalf("hold until %v ended at %v: %v", d.until, now, err)
	}
	if err != nil {
		return
	}
	for _, m := range []*model{x.m, x.would} {
		if m == nil || m.holds[id] == nil {
			continue
		}
		delete(m.holds, id)
		if take {
			m.balance[d.key] -= d.quote
			m.revenue += d.quote
			m.ended = append(m.ended, &deal{key: d.key, at: now, charged: d.quote})
		}
	}
}

// Later lets time pass: the length of a window, a day, a month, or little.
func (x *machine) Later(t *rapid.T) {
	x.clock.Add(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 59 * time.Second, time.Minute, 13 * time.Hour, 20 * 24 * time.Hour}).Draw(t, "later"))
}

func (x *machine) Mode(t *rapid.T) {
	shadow := rapid.Bool().Draw(t, "shadow")
	if err := x.SetMode(context.Background(), shadow, "test"); err != nil {
		t.Fatal(err)
	}
	if !shadow {
		x.would = nil
	} else if x.would == nil {
		x.would = x.m.copy()
	}
}

// Restart ends the book in order and opens it again.
func (x *machine) Restart(t *rapid.T) {
	x.close(t)
	x.reopened(t)
}

// Kill goes on with a copy of the file as it is, as after kill -9.
func (x *machine) Kill(t *rapid.T) {
	if err := x.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(filepath.Dir(x.dir), x.id())
	copyState(t, x.dir, dir)
	x.close(t)
	x.dir = dir
	x.reopened(t)
}

func (x *machine) reopened(t *rapid.T) {
	x.open(t)
	for _, m := range []*model{x.m, x.would} {
		if m != nil {
			m.die()
			m.lapse(x.clock.Now())
		}
	}
	x.swept(t)
	for id := range x.calls {
		if d := x.m.open[id]; d == nil {
			delete(x.calls, id)
		}
	}
}

// swept waits until what has had its time has ended, as it does at a start.
func (x *machine) swept(t *rapid.T) {
	for end := time.Now().Add(10 * time.Second); ; <-time.After(time.Millisecond) {
		if err := x.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		late := 0
		for _, key := range keys {
			if x.Key(key).Held != x.m.held(key) {
				late++
			}
		}
		if late == 0 || time.Now().After(end) { // then Check says what differs
			return
		}
	}
}

// copyState copies what a kill at this moment would leave. What the database
// has when it is copied may be more than what the log had not brought there.
func copyState(t tester, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"paygate.wal", store.FileName} {
		src, err := os.Open(filepath.Join(from, name))
		if errors.Is(err, os.ErrNotExist) && name != store.FileName {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		dst, err := os.Create(filepath.Join(to, name))
		if err == nil {
			_, err = io.Copy(dst, src)
			err = errors.Join(err, dst.Close(), src.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Check compares what can be seen.
func (x *machine) Check(t *rapid.T) {
	now := x.clock.Now()
	for _, key := range keys {
		k := x.Key(key)
		want := ledger.Used{}
		for kind, p := range map[journal.Kind]*int64{journal.DailyCalls: &want.DailyCalls, journal.MonthlyCalls: &want.MonthlyCalls, journal.DailyCredits: &want.DailyCredits, journal.MonthlyCredits: &want.MonthlyCredits} {
			ended := &model{ended: x.m.ended}
			*p = ended.used(journal.Limit{Owner: journal.KeyAccount(key), Kind: kind}, now)
		}
		if k.Credits != x.m.balance[key] || k.Held != x.m.held(key) || k.Used != want {
			t.Fatalf("%s: %+v; the model says %d, held %d, used %+v", key, k, x.m.balance[key], x.m.held(key), want)
		}
		if k.Credits < 0 {
			t.Fatalf("%s is overdrawn: %+v", key, k)
		}
	}
	wantTotals(t, x.rig)
	if got := x.Totals().Revenue; got != x.m.revenue {
		t.Fatalf("revenue %d, the model says %d", got, x.m.revenue)
	}
}

func TestTheBooksAgreeWithASimpleModel(t *testing.T) {
	t.Parallel()
	dir, n := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		x := &machine{rig: newRig(t, filepath.Join(dir, fmt.Sprint(n), "0")), t: t, m: newModel(), calls: map[string]*ledger.Call{}}
		defer func() { x.prove(t); replays(t, x.rig); x.close(t) }()
		actions := map[string]func(*rapid.T){
			"TopUp": x.TopUp, "Transfer": x.Transfer, "Reserve": x.Reserve, "Reserve2": x.Reserve, "Settle": x.Settle, "Settle2": x.Settle,
			"Park": x.Park, "Resume": x.Resume, "Hold": x.Hold, "EndHold": x.EndHold, "Later": x.Later, "Mode": x.Mode,
			"Restart": x.Restart, "Kill": x.Kill, "": x.Check,
		}
		t.Repeat(actions)
	})
}
