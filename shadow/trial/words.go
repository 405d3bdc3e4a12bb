package trial

import (
	"fmt"
	"math"
	"strings"
	"time"

	"paygate/shadow/stats"
)

// Row is one line of what an experiment shows, in words: the same in every form.
type Row struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Note  string `json:"note,omitempty"`
}

// words are the experiment in words, the split first, then the effects.
func (out *Trial) words() []Row {
	rows := []Row{out.stageRow(), out.splitRow()}
	if out.Refused != "" && !out.Broken {
		rows = append(rows, Row{"effect", "not known", out.Refused})
	}
	if out.Attempts != nil {
		rows = append(rows, effectRow("calls a key and day", out.Attempts))
	}
	if out.Spend != nil {
		rows = append(rows, effectRow("credits a key and day", out.Spend))
	}
	if e := out.Attempts; e != nil {
		rows = append(rows, Row{"what keys did before", fmt.Sprintf("explains %s", percent(e.Reduced)),
			fmt.Sprintf("of how keys differ, and is taken out (CUPED): as good as %.3g times as many keys", 1/max(.01, 1-e.Reduced))})
	}
	if out.Elasticity != nil {
		rows = append(rows, elasticityRow(fmt.Sprintf("from %.4g to %.4g credits a call", out.Prices[0], out.Prices[1]), out.Elasticity, ""))
	}
	if out.Levels != nil {
		rows = append(rows, out.Levels.row())
	}
	return append(rows, Row{"prices nobody has paid", "not known", out.OffPolicy})
}

func (out *Trial) stageRow() Row {
	s := out.Stages[len(out.Stages)-1]
	note := ""
	if n := len(out.Stages); n > 1 {
		note = fmt.Sprintf("stage %d; the figures are about it alone", n)
	}
	value := fmt.Sprintf("%.3g %% of the keys since %s UTC", s.Percent, s.From.UTC().Format("2006-01-02 15:04"))
	if out.Ended {
		value = fmt.Sprintf("%.3g %% of the keys, %s to %s UTC", s.Percent, s.From.UTC().Format("2006-01-02 15:04"), out.To.UTC().Format("2006-01-02 15:04"))
	}
	return Row{"who pays the candidate", value, note}
}

func (out *Trial) splitRow() Row {
	r := Row{Name: "split of the keys", Value: fmt.Sprintf("%d as before, %d by the candidate", out.Arms[0].Keys, out.Arms[1].Keys),
		Note: fmt.Sprintf("expected %.1f and %.1f: as it should be (p = %.2g)", out.Arms[0].Expected, out.Arms[1].Expected, out.RatioP)}
	if out.Broken {
		r.Note = fmt.Sprintf("expected %.1f and %.1f: this is not chance (p = %.2g). Take the canary back and find out why keys of one side call that never did, or no longer do", out.Arms[0].Expected, out.Arms[1].Expected, out.RatioP)
	}
	if out.Crossed > 0 {
		r.Note += "; " + several(out.Crossed, "key") + " paid by both, and count as the candidate's"
	}
	return r
}

func effectRow(name string, e *stats.Effect) Row {
	r := Row{Name: name, Value: fmt.Sprintf("%.4g as before, %.4g by the candidate", e.Control, e.Treated)}
	if e.Control <= 0 {
		r.Note = fmt.Sprintf("%+.3g, 95 %% between %+.3g and %+.3g however often one looks", e.Absolute.Estimate, e.Absolute.Low, e.Absolute.High)
		return r
	}
	share := func(x float64) string { return signed(x / e.Control) }
	r.Note = fmt.Sprintf("%s, 95 %% between %s and %s however often one looks (%s and %s for one look)",
		share(e.Absolute.Estimate), share(e.Absolute.Low), share(e.Absolute.High), share(e.Once.Low), share(e.Once.High))
	return r
}

// elasticityRow says an elasticity as what a tenth more does.
func elasticityRow(name string, e *stats.Interval, note string) Row {
	tenth := func(e float64) string { return signed(math.Pow(1.1, e) - 1) }
	text := fmt.Sprintf("elasticity %s, 95 %% between %s and %s", minus("%.2f", e.Estimate), minus("%.2f", e.Low), minus("%.2f", e.High))
	if note != "" {
		text += "; " + note
	}
	return Row{name, fmt.Sprintf("10 %% dearer: %s calls (%s to %s)", tenth(e.Estimate), tenth(e.Low), tenth(e.High)), text}
}

func (out *Levels) row() Row {
	const name = "over all prices paid"
	if out.Elasticity == nil {
		return Row{name, "not known", out.Refused}
	}
	prices := []string{}
	for _, p := range out.Prices {
		if !p.LeftOut {
			prices = append(prices, fmt.Sprintf("%.4g", p.Price))
		}
	}
	note := fmt.Sprintf("%s at %s credits a call, %s", several(out.Keys, "key"), strings.Join(prices, ", "), several(out.Days, "day"))
	if out.Share < 1 {
		note += fmt.Sprintf("; %s of the keys, drawn by chance", percent(out.Share))
	}
	return elasticityRow(name, out.Elasticity, note)
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// signed is a change: +14 %, −3.2 %.
func signed(share float64) string {
	if p := 100 * share; math.Abs(p) < 10 {
		return minus("%+.1f %%", p)
	}
	return minus("%+.0f %%", 100*share)
}

func minus(format string, x float64) string {
	return strings.Replace(fmt.Sprintf(format, x), "-", "−", 1)
}

// Lasts is how long the newest stage has gone on, or went on.
func (out *Trial) Lasts() time.Duration { return out.To.Sub(out.Stages[len(out.Stages)-1].From) }

// Bar is a change as a share of what keys do that pay as before, to be drawn.
type Bar struct {
	Name string
	Is   stats.Interval // however often one looks
	Once stats.Interval
}

// Bars are the effects that can be drawn: of calls, of credits.
func (out *Trial) Bars() []Bar {
	var bars []Bar
	for i, e := range []*stats.Effect{out.Attempts, out.Spend} {
		if e == nil || e.Control <= 0 {
			continue
		}
		of := func(x stats.Interval) stats.Interval {
			return stats.Interval{Estimate: x.Estimate / e.Control, Low: x.Low / e.Control, High: x.High / e.Control}
		}
		bars = append(bars, Bar{[...]string{"calls", "credits"}[i], of(e.Absolute), of(e.Once)})
	}
	return bars
}
