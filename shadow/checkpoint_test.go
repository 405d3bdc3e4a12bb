package shadow_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paygate/shadow"
)

// again is another lab over the same books, as after a start.
func (r *rig) again(dir string) *shadow.Lab {
	return shadow.New(shadow.Options{Book: r.Book, Now: r.now, Name: func(id string) string { return "name of " + id }, Dir: dir})
}

func reportsOf(t *testing.T, l *shadow.Lab, names ...string) string {
	t.Helper()
	out := ""
	for _, name := range names {
		out += string(must[[]byte](t)(json.Marshal(must[*shadow.Report](t)(l.Report(ctx, name, shadow.Window{})))))
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
			x.start(t, "tiered", live+"- match: {tool: plain}\n  price: {per_call: 3, free: 2/day}\n")
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
	if rep := must[*shadow.Report](t)(l.Report(ctx, "five", shadow.Window{})); rep.Attempts != 41 {
		t.Errorf("%d attempts", rep.Attempts)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
