package shadow

import (
	"errors"
	"fmt"
)

// The states of an experiment.
const (
	IsDraft    = "draft"       // a text is kept, which may have mistakes
	Validated  = "validated"   // its sheet is kept
	Shadowing  = "shadowing"   // it lives through what happens
	IsReviewed = "reviewed"    // the same, and somebody has looked at its report
	Scheduled  = "scheduled"   // it goes live at a time
	InCanary   = "canary"      // some keys pay its prices
	Stopped    = "stopped"     // it was ended without going live
	IsLive     = "live"        // its prices are charged
	Superseded = "superseded"  // another one went live after it
	RolledBack = "rolled_back" // the prices before it are live again
)

// What can be wrong with a request, beside *BadInput, *Blocked and
// *sheetfile.Invalid. store.ErrNotFound: there is no such experiment.
var (
	ErrTaken = errors.New("what was started never changes; keep this sheet under another name")
	ErrState = errors.New("the experiment is not in a state for this")
)

// stateError is a sentence that is an ErrState.
type stateError struct{ text string }

func (e *stateError) Error() string        { return e.text }
func (e *stateError) Is(target error) bool { return target == ErrState }

func wrongState(format string, args ...any) error { return &stateError{fmt.Sprintf(format, args...)} }

// no refuses what an experiment's state does not allow, and says what to do.
func (e *Experiment) no(done string) error {
	return wrongState("experiment %s is %s and cannot be %s; %s", e.Name, e.word(), done, e.next())
}

// word is the state in a sentence.
func (e *Experiment) word() string {
	switch {
	case e.State == IsDraft && e.Draft != nil && e.Draft.Mistakes == 1:
		return "a draft with a mistake"
	case e.State == IsDraft && e.Draft != nil && e.Draft.Mistakes > 0:
		return fmt.Sprintf("a draft with %d mistakes", e.Draft.Mistakes)
	case e.State == IsDraft:
		return "a draft"
	case e.State == InCanary:
		return "in its canary"
	case e.State == RolledBack:
		return "rolled back"
	}
	return e.State
}

// next is what one can do with an experiment in its state.
func (e *Experiment) next() string {
	command := func(verb string) string { return fmt.Sprintf("%q", "paygate shadow "+verb) }
	switch e.State {
	case IsDraft:
		if e.Draft != nil && e.Draft.Mistakes > 0 {
			return "mend it and keep it again with " + command("new "+e.Name+" --sheet FILE")
		}
		return command("validate "+e.Name) + " first"
	case Validated:
		return command("start "+e.Name) + " shadows it"
	case Shadowing, IsReviewed:
		return command("promote "+e.Name) + " makes it live, " + command("stop "+e.Name) + " ends it"
	case Scheduled:
		return command("cancel "+e.Name) + " takes that back first"
	case InCanary:
		return command("promote "+e.Name) + " makes it live for all keys, " + command("rollback") + " takes it back"
	case IsLive:
		return command("rollback") + " takes it back"
	}
	return "keep its sheet under another name to try it again"
}

// running says whether the experiment lives through what happens.
func (e *Experiment) running() bool {
	return e.State == Shadowing || e.State == IsReviewed || e.State == Scheduled
}

// mark is what every event of an experiment says.
func (e *Experiment) mark() mark {
	return mark{Name: e.Name, Candidate: e.Candidate, Live: e.Live}
}
