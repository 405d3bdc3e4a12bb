package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// shadowReport is as much of a report as the command line prints.
type shadowReport struct {
	Name, Live, Candidate, Grade string
	From, To                     time.Time
	Demo                         bool
	Coverage                     float64
	Attempts                     int
	SelfDifference               int
	Exact                        struct {
		Live, Candidate struct {
			Potential, Collectable int64
			Admitted, Denied       int
		}
		Change      struct{ Total, Rate, AccessWon, AccessLost, Refunds int64 }
		NewlyDenied struct {
			Attempts, Keys int
			ByReason       map[string]int
		}
		Runs struct {
			Broken, BrokenLive float64
			Stranded           int64
		}
		Keys []keyBill
	}
	Projected struct {
		Lift    *struct{ Estimate, Low, High float64 }
		Refused string
	}
	Experiment              *struct{ Verdict string }
	Assumptions, CannotKnow []string
	Guardrails              []guardrail
}

type keyBill struct {
	ID, Name        string
	Live, Candidate int64
	NewlyDenied     int
	StoppedBy, Tool string
	FirstDeniedAt   *time.Time
}

func (k keyBill) change() int64 { return k.Candidate - k.Live }

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

func signed(n int64) string { return fmt.Sprintf("%+d", n) }

// showReplay prints the reports of a replay.
func (w *World) showReplay(r *remote, raw []byte) error {
	if r.json {
		return w.asItCame(raw)
	}
	var out struct{ Reports []shadowReport }
	if err := json.Unmarshal(raw, &out); err != nil {
		return fmt.Errorf("the replay cannot be read: %w", err)
	}
	for i := range out.Reports {
		w.sayReport(&out.Reports[i])
	}
	return nil
}

// sayReport prints the gist of a report at 80 columns.
func (w *World) sayReport(r *shadowReport) {
	e := &r.Exact
	w.say("%s  sheet %.12s beside live %.12s", r.Name, r.Candidate, r.Live)
	if r.Demo {
		w.say("DEMO: the calls are made up")
	}
	w.prose("%s to %s, %d calls, grade %s, coverage %s, self-difference %d", r.From.Local().Format(time.DateTime), r.To.Local().Format(time.DateTime),
		r.Attempts, r.Grade, percent(r.Coverage), r.SelfDifference)
	w.say("")
	w.table("EXACT\tPOTENTIAL\tCOLLECTED\tADMITTED\tDENIED", func(row func(...any)) {
		row("live", e.Live.Potential, e.Live.Collectable, e.Live.Admitted, e.Live.Denied)
		row("candidate", e.Candidate.Potential, e.Candidate.Collectable, e.Candidate.Admitted, e.Candidate.Denied)
	})
	c := e.Change
	w.say("")
	w.prose("change %s = rate %s, access won %s, access lost %s, refunds %s", signed(c.Total), signed(c.Rate), signed(c.AccessWon), signed(c.AccessLost), signed(c.Refunds))
	w.prose("newly denied: %d calls of %d keys%s; runs broken %s (live %s)", e.NewlyDenied.Attempts, e.NewlyDenied.Keys, reasons(e.NewlyDenied.ByReason), percent(e.Runs.Broken), percent(e.Runs.BrokenLive))
	if l := r.Projected.Lift; l != nil {
		w.prose("next window: lift %s, 95 %% between %s and %s", percent(l.Estimate), percent(l.Low), percent(l.High))
	} else {
		w.prose("next window: no interval, %s", cmp.Or(r.Projected.Refused, "there is nothing to go by"))
	}
	if x := r.Experiment; x != nil {
		w.prose("real experiment: %s See \"paygate shadow experiment %s\"", x.Verdict, r.Name)
	}
	w.sayBills(e.Keys)
	w.sayGuardrails(r.Guardrails)
	w.sayDoubts(r)
}

// sayDoubts prints what the figures rest on.
func (w *World) sayDoubts(r *shadowReport) {
	for i, list := range [...][]string{r.Assumptions, r.CannotKnow} {
		if len(list) == 0 {
			continue
		}
		w.say("")
		w.say("%s", [...]string{"WHAT THIS ASSUMES", "WHAT THIS CANNOT KNOW"}[i])
		for _, text := range list {
			w.prose("- %s", text)
		}
	}
}

func reasons(by map[string]int) string {
	var parts []string
	for reason, n := range by {
		parts = append(parts, fmt.Sprintf("%s %d", reason, n))
	}
	slices.Sort(parts)
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

const fewBills = 5 // on each side

// sayBills prints whose bills change most.
func (w *World) sayBills(keys []keyBill) {
	list := slices.DeleteFunc(slices.Clone(keys), func(k keyBill) bool { return k.change() == 0 && k.NewlyDenied == 0 })
	slices.SortStableFunc(list, func(a, b keyBill) int { return cmp.Compare(b.change(), a.change()) })
	if len(list) > 2*fewBills {
		list = slices.Concat(list[:fewBills], list[len(list)-fewBills:])
	}
	if len(list) == 0 {
		return
	}
	w.say("")
	w.table("KEY\tLIVE\tCANDIDATE\tCHANGE\tNEWLY DENIED\tMOSTLY BY", func(row func(...any)) {
		for _, k := range list {
			row(cut(cmp.Or(k.Name, k.ID), 24), k.Live, k.Candidate, signed(k.change()), k.NewlyDenied, cut(k.Tool, 16))
		}
	})
}

func cut(text string, most int) string {
	letters := []rune(text)
	if len(letters) <= most {
		return text
	}
	return string(letters[:most-1]) + "…"
}

func (w *World) sayGuardrails(list []guardrail) {
	w.say("")
	w.table("GUARDRAIL\tVALUE\tLIMIT\tPASS", func(row func(...any)) {
		for _, g := range list {
			row(g.Name, figure(g.Value), figure(g.Limit), g.verdict())
		}
	})
}

// figure is a number with as many digits as anybody reads.
func figure(v any) string {
	f, ok := v.(float64)
	switch {
	case v == nil:
		return "-"
	case !ok:
		return fmt.Sprint(v)
	case f == float64(int64(f)):
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%.4g", f)
}

func (g guardrail) verdict() string {
	switch {
	case g.Pass:
		return "yes"
	case g.Blocks == "nothing":
		return "no, warns only"
	case g.Blocks == "unattended promotion":
		return "no, for --at and --for"
	}
	return "NO"
}
