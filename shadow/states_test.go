package shadow_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"paygate/shadow"
	"paygate/shadow/report"
)

// Who goes on from a kept state says what who lives through it all says: reports
// and replays of late windows, statements, and what a rollback owes.
func TestALateWindowIsTheSameFromAKeptState(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			x := &traffic{rig: newRig(t, sheet(t, live)), t: t, random: rand.New(rand.NewPCG(seed, 9))}
			keeps := x.again(t.TempDir())
			keeps.KeepEvery(60)
			names := []string{"same", "tiered", "planned"}
			files := []string{live, strings.Replace(live, "plans:", "- match: {tool: plain}\n  price: {per_call: 3, free: 2/day}\nplans:", 1), planned}
			var times []time.Time
			for i, name := range names {
				x.start(t, name, files[i])
				for range 120 {
					x.step()
				}
				times = append(times, x.now())
				reportsOf(t, keeps, name) // it keeps up
			}
			if seed > 0 {
				promote := shadow.Promotion{Name: "tiered", Override: []string{"all"}}
				if seed > 1 {
					promote.Percent = 50
				}
				must[*shadow.Promoted](t)(keeps.Promote(ctx, promote, "test"))
				x.sheet = sheet(t, files[1])
				for range 120 {
					x.step()
				}
				reportsOf(t, keeps, "same")
			}
			if kept := must[[]uint64](t)(keeps.Kept()); len(kept) < 4 {
				t.Fatalf("only %d states were kept", len(kept))
			}
			same := func(what string, of func(*shadow.Lab) any) {
				t.Helper()
				got, want := string(must[[]byte](t)(json.Marshal(of(keeps)))), string(must[[]byte](t)(json.Marshal(of(x.again("")))))
				if got != want {
					at := 0
					for at < min(len(got), len(want)) && got[at] == want[at] {
						at++
					}
					t.Errorf("%s differs: …%.300s\nwant …%.300s", what, got[max(0, at-60):], want[max(0, at-60):])
				}
			}
			for _, from := range times {
				w := shadow.Window{From: from, To: x.now().Add(time.Hour)}
				for _, name := range names {
					same("report of "+name, func(l *shadow.Lab) any { return must[*report.Report](t)(l.Report(ctx, name, w)) })
				}
				in := shadow.ReplayRequest{Candidates: []shadow.Candidate{{Name: "p", Sheet: sheet(t, planned)}, {Name: "l", Sheet: sheet(t, live)}}, Window: w}
				same("replay", func(l *shadow.Lab) any { return must[[]*report.Report](t)(l.Replay(ctx, in)) })
			}
			for _, key := range []string{"key_0", "key_1", "key_2"} {
				same("statement", func(l *shadow.Lab) any { return must[[]shadow.Line](t)(l.Statement(ctx, "planned", key)) })
			}
			if seed > 0 {
				same("rollback", func(l *shadow.Lab) any {
					back := must[*shadow.RolledBackTo](t)(l.RollbackPreview(ctx, true))
					return []any{back.Total, back.Keys}
				})
			}
			if err := keeps.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
