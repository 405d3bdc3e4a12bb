package shadow

import (
	"strings"
	"time"

	"paygate/pricing"
	"paygate/store/journal"
)

// When a candidate's prices are charged, the sheet of before goes on as a
// shadow: what it would have collected is known at any time, and what a
// rollback would give back.

// beforeMark ends the name of the shadow of the sheet of before. No experiment
// can be called so.
const beforeMark = "~before"

// Since is what has been collected since an experiment's prices are charged,
// and what the sheet of before would have.
type Since struct {
	From     time.Time       `json:"from"`
	Attempts int             `json:"attempts"`
	Credits  pricing.Credits `json:"credits"`       // collected
	Before   pricing.Credits `json:"beforeCredits"` // the sheet of before would have
	Change   pricing.Credits `json:"change"`        // that the new prices made
	Denied   int             `json:"deniedMore"`    // calls than the sheet of before would have
}

// charging lets a candidate end its shadow because its prices are charged now,
// and the sheet of before begin one.
func (j *journey) charging(m mark, e *journal.Event) error {
	j.drop(j.pairs[m.Name])
	name := m.Name + beforeMark
	if j.pairs[name] != nil { // its canary is made wider, or goes live
		return nil
	}
	return j.begin(mark{Name: name, Candidate: m.Live, Live: m.Candidate}, e.At)
}

// since is what a shadow of the sheet of before says.
func since(t *tracked) *Since {
	if t == nil {
		return nil
	}
	counts := t.pair.Tally
	live, old := counts.Sides[0].Collectable(), counts.Sides[1].Collectable()
	return &Since{From: t.from, Attempts: counts.Attempts, Credits: live, Before: old, Change: live - old, Denied: counts.Sides[0].Denied - counts.Sides[1].Denied}
}

// experimentOf is the experiment of a report's name.
func experimentOf(name string) string { return strings.TrimSuffix(name, beforeMark) }
