// Package pricing says what a call costs. It is pure: no clock, no input or
// output, no floating point. One function rates a call, live, in a dry run, in
// shadow mode and in replay, from recorded facts alone, so that all of them
// agree to the credit.
//
// It does not know who may call, nor what anybody's balance is.
package pricing

import (
	"fmt"
	"time"
)

// Credits is an amount of money: whole credits. Nothing in PayGate computes
// money in fractions that reach a balance.
type Credits int64

// MaxCredits is the most that one operation may move.
const MaxCredits Credits = 1_000_000_000

// Outcome is how a call ended.
type Outcome uint8

// The outcomes. A call that is Lost or Denied is never charged.
const (
	Pending Outcome = iota // not ended yet
	OK                     // answered
	Failed                 // answered badly: an error of the server, or isError
	Lost                   // no answer came
	Denied                 // refused by the gateway
)

var outcomes = [...]string{"pending", "ok", "failed", "lost", "denied"}

func (o Outcome) String() string {
	if int(o) < len(outcomes) {
		return outcomes[o]
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}

// Call is every fact a price may depend on, and nothing else.
type Call struct {
	ID     string
	Key    string // stable id of the key
	Payer  string // account that pays; the key's own unless it has another
	Group  string
	Plan   string
	Tenant string
	Tool   string // as the agent named it, with the server's prefix
	Server string // prefix of the server that answered
	Run    string // what the agent calls one piece of work

	Tags map[string]string // of the key, and cost tags of the call, which win
	Dims map[string]string // declared dimensions of the arguments

	Class string  // how it ended in the lab's words: ok, tool_error, upstream_error, timeout, cancelled …
	Units Credits // what the server reported that it used
	Cost  Credits // what the server reported that it cost

	At   time.Time
	In   int64 // bytes of the arguments as sent
	Out  int64 // bytes of the result as answered
	Took time.Duration

	Outcome  Outcome
	Cached   bool // answered without the server
	Repeated bool // the answer to an earlier call, given again
	// RepeatedAfter is how long after the earlier call's answer, by the millisecond.
	RepeatedAfter time.Duration `json:",omitempty"`
}
