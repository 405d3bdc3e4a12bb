package lab

import (
	"fmt"
	"time"

	"paygate/shadow/report"
	"paygate/shadow/trial"
	"paygate/tui/paint"
)

// Data is what plots are drawn from: the columns of the lab, and the one that
// the person looks at.
type Data struct {
	Name    string           // of the column looked at
	Report  *report.Report   // of it; nil until it is known
	Names   []string         // of all columns, live first
	Reports []*report.Report // of all columns; nil where not known yet
	First   time.Time        // call of the window; zero: not known
	Key     string           // the key under the cursor, as plots and its row give it
	Trial   *trial.Trial     // what keys did that paid by the column looked at; nil: none has
}

// Key is a row of a plot that stands for an API key.
type Key struct {
	ID, Name string
	Plot     string // which plot it stands in
	Y        int    // its row within the plot's area
	X, W     int
}

// Plot is one picture of a report.
type Plot struct {
	Name  string // for people, in a word or two
	Title func(d *Data) string
	Draw  func(a paint.Area, d *Data) []Key
	Least int // rows under which it says too little
}

// Plots are all pictures, the most telling first.
func Plots() []Plot {
	return []Plot{
		{"why", func(d *Data) string { return "why " + d.Name + " differs" }, Why, 5},
		{"bills", func(*Data) string { return "bills: winners and losers" }, Bills, 4},
		{"survival", func(*Data) string { return "keys not yet refused, by time" }, Survival, 5},
		{"tools", func(*Data) string { return "credits by tool and sheet, denser = more" }, Heat, 3},
		{"stopped", func(d *Data) string { return "first stopped under " + d.Name }, Stopped, 3},
		{"refused", func(d *Data) string { return "who is refused under " + d.Name + ", by key and time" }, Refused, 3},
		{"experiment", func(d *Data) string { return "how callers react to " + d.Name + ": the real experiment" }, Experiment, 4},
		{"demand", func(*Data) string { return "if callers react: change by elasticity" }, Demand, 5},
		{"frontier", func(*Data) string { return "what each sheet collects against what it refuses" }, Frontier, 5},
		{"runs", func(*Data) string { return "what a run costs: half, nine of ten, 99 of 100 stay below" }, Runs, 4},
		{"balances", func(d *Data) string { return "how long balances last under " + d.Name }, Balances, 5},
		{"figures", func(d *Data) string { return "all other figures: live and " + d.Name }, Figures, 3},
		{"doubts", func(*Data) string { return "what this rests on, and cannot know" }, Doubts, 3},
	}
}

// waiting says that there is no report yet.
func waiting(a paint.Area, d *Data) bool {
	if d.Report != nil {
		return false
	}
	a.Text(1, 0, "… not re-enacted yet", paint.In(paint.Muted))
	return true
}

// same says that a plot compares a sheet with itself.
func same(a paint.Area, d *Data) bool {
	if d.Report == nil || d.Report.Live != d.Report.Candidate {
		return false
	}
	a.Text(1, 0, "These are the live prices: they differ from themselves in nothing.", paint.In(paint.Muted))
	a.Text(1, 1, "→ goes to a candidate, n makes one.", paint.In(paint.Muted))
	return true
}

// percent is a change in whole percent with its sign: +19 %.
func percent(share float64) string {
	p := share * 100
	switch {
	case p > 9999:
		return ">+9999 %"
	case p > -0.5 && p < 0.5:
		return "0 %"
	case p < 0:
		return fmt.Sprintf("−%.0f %%", -p)
	}
	return fmt.Sprintf("+%.0f %%", p)
}

// signTone is green for more and red for less.
func signTone(n int64) paint.Tone {
	switch {
	case n > 0:
		return paint.OK
	case n < 0:
		return paint.Bad
	}
	return paint.Muted
}
