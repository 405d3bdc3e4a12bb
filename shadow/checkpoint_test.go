package shadow_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paygate/shadow"
	"paygate/shadow/report"
)

// again is another lab over the same books, as after a start.
func (r *rig) again(dir string) *shadow.Lab {
	return shadow.New(shadow.Options{Book: r.Book, Now: r.now, Name: func(id string) string { return "name of " + id }, Dir: dir})
}

func reportsOf(t *testing.T, l *shadow.Lab, names ...string) string {
	t.Helper()
	out := ""
	for _, name := range names {
		out += string(must[[]byte](t)(json.Marshal(must[*report.Report](t)(l.Report(ctx, name, shadow.Window{})))))
	}
	return out
}

const planned = `
defaults: {per_call: 2}
plans:
  free: {grant: 20/day, expires: day_end, rate: 5/min, spend_cap: 30/day}
  pro: {grant: 90/month, rollover: 10, auto_topup: {below: 20, add: 15, max: 2/day}}
`

// Whoever goes on from a checkpoint says what who lives through it all says.
func TestGoingOnFromACheckpointIsLivingThroughItAgain(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			x := &traffic{rig: newRig(t, sheet(t, live)), t: t, random: rand.New(rand.NewPCG(seed, 5))}
			dir := t.TempDir()
			for range 40 {
				x.step()
			}
			names := []string{"same", "tiered", "planned"}
			x.start(t, "same", live)
			x.start(t, "tiered", strings.Replace(live, "plans:", "- match: {tool: plain}\n  price: {per_call: 3, free: 2/day}\nplans:", 1))
			x.start(t, "planned", planned)
			for round := range 5 {
				for range 80 {
					x.step()
				}
				resumed := x.again(dir)
				got := reportsOf(t, resumed, names...)
				if at := resumed.ResumedAt(); (at == 0) != (round == 0) {
					t.Errorf("round %d: it went on from %d", round, at)
				}
				if want := reportsOf(t, x.again(""), names...); got != want {
					t.Fatalf("round %d:\n%s\nwant\n%s", round, got, want)
				}
				if err := resumed.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// While a checkpoint is written the lab goes on, and what is written is the
// moment at which it began.
func TestACheckpointIsOfOneMomentWhileTheLabGoesOn(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			x := &traffic{rig: newRig(t, sheet(t, live)), t: t, random: rand.New(rand.NewPCG(seed, 6))}
			dir, names := t.TempDir(), []string{"same", "planned"}
			x.start(t, "same", live)
			x.start(t, "planned", planned)
			l := x.again(dir)
			for round := range 4 {
				for range 60 {
					x.step()
				}
				reportsOf(t, l, names...)
				at, steps := x.Journal().Last(), 0
				l.During(func() {
					if steps++; steps%3 == 0 {
						x.step()
						reportsOf(t, l, names...)
					}
				})
				must[time.Duration](t)(l.SaveNow())
				if l.During(nil); l.ResumedAt() != at || steps < 10 {
					t.Fatalf("round %d: saved %d, want %d, after %d steps", round, l.ResumedAt(), at, steps)
				}
				want := reportsOf(t, x.again(""), names...)
				if got := reportsOf(t, l, names...); got != want {
					t.Fatalf("round %d: it goes on with\n%s\nwant\n%s", round, got, want)
				}
				resumed := x.again(copied(t, dir))
				if got := reportsOf(t, resumed, names...); got != want {
					t.Fatalf("round %d:\n%s\nwant\n%s", round, got, want)
				}
				if err := resumed.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// copied is a folder as a kill would leave it at this moment.
func copied(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// Whoever is killed while a checkpoint is written goes on from the one before.
func TestAKillDuringACheckpointLeavesTheFormerOne(t *testing.T) {
	t.Parallel()
	x := &traffic{rig: newRig(t, sheet(t, live)), t: t, random: rand.New(rand.NewPCG(7, 7))}
	x.start(t, "planned", planned)
	dir := t.TempDir()
	l := x.again(dir)
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	former := uint64(0)
	for round := range 3 {
		for range 60 {
			x.step()
		}
		want := reportsOf(t, l, "planned")
		var left []string
		moments := 0
		l.During(func() {
			if moments++; moments%9 == 1 && len(left) < 4 {
				left = append(left, copied(t, dir))
			}
		})
		must[time.Duration](t)(l.SaveNow())
		l.During(nil)
		for _, dir := range left {
			killed := x.again(dir)
			if got := reportsOf(t, killed, "planned"); got != want || killed.ResumedAt() != former {
				t.Fatalf("round %d: it went on from %d, want %d:\n%s\nwant\n%s", round, killed.ResumedAt(), former, got, want)
			}
			if err := killed.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if former = l.ResumedAt(); len(left) < 3 {
			t.Fatalf("%d moments", moments)
		}
	}
}

func TestACheckpointThatIsOfNoUseIsLeftAside(t *testing.T) {
	t.Parallel()
	r, dir := fives(t), t.TempDir()
	want := reportsOf(t, r.lab, "five")
	for i, damage := range []func(file string){
		func(string) {},
		func(file string) { _ = os.WriteFile(file, []byte("nonsense"), 0o600) },
		func(file string) { _ = os.Truncate(file, 10_000) },
	} {
		first := r.again(dir)
		if got := reportsOf(t, first, "five"); got != want {
			t.Errorf("%d: %s\n%s", i, got, want)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		damage(filepath.Join(dir, shadow.CheckpointFile))
	}
	other := fives(t) // other books: the same file says nothing about them
	other.later(time.Hour)
	other.pay(t, "key_0", "echo")
	l := other.again(dir)
	if rep := must[*report.Report](t)(l.Report(ctx, "five", shadow.Window{})); rep.Attempts != 41 {
		t.Errorf("%d attempts", rep.Attempts)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// When the journal was trimmed beyond the start of an experiment and nothing
// was kept beside it, it is covered from where the journal begins.
func TestAnExperimentOutlivesTheBeginOfTheJournal(t *testing.T) {
	t.Parallel()
	for _, shadowMode := range []bool{false, true} {
		r := openRig(t, t.TempDir(), flat(2))
		again := func() { // the books need less of the journal to start after a start
			at, n := r.now(), r.calls
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			r = openRig(t, r.dir, flat(2))
			r.later(at.Sub(noon))
			r.calls = n
		}
		if err := r.SetMode(ctx, shadowMode, "test"); err != nil {
			t.Fatal(err)
		}
		r.topup(t, "key_a", 10_000)
		r.start(t, "five", "defaults: {per_call: 5}")
		for i := range 300 {
			r.later(time.Minute)
			r.pay(t, "key_a", "echo")
			if i%20 == 0 { // blocks are short
				if err := r.Flush(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		again()
		r.pay(t, "key_a", "echo")
		again()
		dir := t.TempDir()
		kept := r.again(dir)
		want := reportsOf(t, kept, "five")
		if err := kept.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Trim(ctx, r.Journal().Last()-100, "test"); err != nil {
			t.Fatal(err)
		}
		r.later(time.Minute)
		r.pay(t, "key_a", "echo")
		rep := must[*report.Report](t)(r.again("").Report(ctx, "five", shadow.Window{}))
		if e := rep.Exact; rep.Attempts < 20 || rep.Attempts > 200 || rep.Coverage != 1 || rep.SelfDifference != 0 || e.Candidate.Collectable != 5*e.Live.Collectable/2 || !rep.From.After(noon) {
			t.Errorf("shadow mode %t: %d attempts, coverage %v, %d differences, %+v", shadowMode, rep.Attempts, rep.Coverage, rep.SelfDifference, e.Candidate)
		}
		resumed := r.again(dir)
		if rep := must[*report.Report](t)(resumed.Report(ctx, "five", shadow.Window{})); rep.Attempts != 302 {
			t.Errorf("shadow mode %t: %d attempts after the checkpoint; before: %s", shadowMode, rep.Attempts, want)
		}
		if err := errors.Join(resumed.Close(), r.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
