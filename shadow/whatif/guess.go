// Package whatif guesses how callers go on who are denied, and what more they
// could have: a replay tries several guesses, because nobody knows which one is
// true.
package whatif

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/shadow/tally"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// Guess changes what a candidate's wallets have, and how callers who are
// denied go on. Nobody knows the latter: compare several.
type Guess struct {
	Grant   pricing.Credits    `json:"grant,omitempty"`   // added to every wallet at its start
	Policy  string             `json:"policy,omitempty"`  // see the constants; empty is Skip
	TopUp   pricing.Credits    `json:"topUp,omitempty"`   // TopUp: credits at a time, at least what a call lacks
	PerDay  int                `json:"perDay,omitempty"`  // TopUp: at most so often a day and key; 0: always
	Retries int                `json:"retries,omitempty"` // Retry: how often a denied call comes back
	Cheaper map[string]string  `json:"cheaper,omitempty"` // Cheaper: the tool that is called instead of one that is too dear
	Growth  map[string]float64 `json:"growth,omitempty"`  // by plan ("*": every other): how many times as many keys; see Projected.Growth

	Added pricing.Credits `json:"added"` // credits that wallets were given
	Load  int             `json:"load"`  // attempts that came back, without effect but their load
}

// What a denied call does to the calls after it.
const (
	Skip    = "skip"      // nothing: optimistic about access
	StopRun = "stop-run"  // ends its piece of work: pessimistic about volume
	Retry   = "retry"     // comes back, in vain
	TopUp   = "top-up"    // is paid after all: the most that can be collected
	Cheaper = "downgrade" // is made to a cheaper tool, where one is named
	All     = "all"       // each of them, one after the other: nobody knows which is true
)

// Policies names what a denied call may do.
func Policies() []string {
	return []string{Skip, StopRun, Retry, TopUp, Cheaper}
}

// Check says what is wrong with a guess.
func (w *Guess) Check() error {
	switch {
	case w.Policy != "" && w.Policy != All && !slices.Contains(Policies(), w.Policy):
		return fmt.Errorf("policy %q is not one of %s, %s", w.Policy, strings.Join(Policies(), ", "), All)
	case w.Grant < 0 || w.TopUp < 0 || w.Grant > pricing.MaxCredits || w.TopUp > pricing.MaxCredits:
		return fmt.Errorf("grant and topUp are whole credits from 0 to %d", pricing.MaxCredits)
	case w.Policy == Cheaper && len(w.Cheaper) == 0:
		return fmt.Errorf("policy %s needs cheaper, such as {\"search_deep\": \"search\"}", Cheaper)
	case w.PerDay < 0 || w.Retries < 0 || w.Retries > 100:
		return fmt.Errorf("perDay is not below 0, retries are from 0 to 100")
	}
	for plan, n := range w.Growth {
		if n < 0 || n > 100 {
			return fmt.Errorf("growth of plan %q: times as many keys, from 0 to 100", plan)
		}
	}
	return nil
}

// Enacted is a Guess that is lived through in one candidate's books.
type Enacted struct {
	Guess  // with what has come of it
	cand   *ledger.Scenario
	broken map[string]bool      // runs that ended
	last   map[string]time.Time // calls of keys without named runs
	topups map[string]int       // of key and day
	given  map[string]bool      // keys that had their grant
}

// Enact lets a candidate live through a guess.
func Enact(w Guess, cand *ledger.Scenario) *Enacted {
	w.Added, w.Load = 0, 0
	p := &Enacted{Guess: w, cand: cand, broken: map[string]bool{}, last: map[string]time.Time{}, topups: map[string]int{}, given: map[string]bool{}}
	cand.Refuse = p.refuse
	switch w.Policy {
	case TopUp:
		cand.Fund = p.fund
	case Cheaper:
		cand.Cheaper = func(tool string) string { return w.Cheaper[tool] }
	}
	return p
}

// refuse comes before every decision: it also gives a key its grant.
func (p *Enacted) refuse(c *journal.Call) string {
	if c.Key != "" && p.Grant > 0 && !p.given[c.Key] {
		p.given[c.Key] = true
		p.Added += p.Grant
		p.cand.Give(c.Key, p.Grant)
	}
	if p.Policy != StopRun {
		return ""
	}
	if c.Run == "" {
		if at, ok := p.last[c.Key]; ok && c.At.Sub(at) >= tally.RunGap {
			delete(p.broken, c.Key)
		}
		p.last[c.Key] = c.At
	}
	if p.broken[runOf(c)] {
		return "run_stopped"
	}
	return ""
}

func runOf(c *journal.Call) string {
	if c.Run == "" {
		return c.Key
	}
	return c.Key + "\x00" + c.Run
}

func (p *Enacted) fund(c *journal.Call, lacks pricing.Credits) pricing.Credits {
	id := c.Key + c.At.UTC().Format("\x0020060102")
	if p.PerDay > 0 && p.topups[id] >= p.PerDay {
		return 0
	}
	p.topups[id]++
	n := max(lacks, p.TopUp)
	p.Added += n
	return n
}

// See takes every verdict.
func (p *Enacted) See(v *ledger.Verdict) {
	if v.Admitted || v.Ended || len(v.Reasons) == 0 || v.Reasons[0].Reason == "run_stopped" {
		return
	}
	p.broken[runOf(v.Call)] = true
	if p.Policy == Retry {
		p.Load += p.Retries
	}
}
