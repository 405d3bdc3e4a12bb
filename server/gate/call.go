package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"paygate/server/keys"
	"paygate/server/mcp"
	"paygate/store/ledger"
)

// Call is one tools/call on its way: the facts that the books keep (embedded),
// and what only the way itself needs. It travels by pointer and nobody else
// holds state about it.
type Call struct {
	ledger.Call

	Terms   *keys.Terms         // who calls and on what terms; nil when no key was recognised
	Refused string              // why there are no Terms: missing_api_key, invalid_api_key or api_key_expired
	Addr    netip.Addr          // where the request came from
	Header  func(string) string // the request's HTTP headers
	Request *mcp.Message        // as the client sent it
	Send    Send                // reaches the upstream
	Args    json.RawMessage     // params.arguments
	Result  *mcp.Message        // the answer, once there is one
	Unknown bool                // no server has the tool, and the answer only says so in a result
	RateCap int                 // calls a minute for this key; 0: no cap
	ToolCap int                 // calls a minute for this key on this tool; 0: no cap
	Carry   func(string)        // puts the call's id into the request state that its client sends back
	Resumes string              // id of the parked call that this request continues

	Named Named                         // of the first call of a name; see Named
	Again func(context.Context) Earlier // of a request that repeats one: waits for how that ended

	Denials []Denial // every failing check, in the order of evaluation
	Steps   []Step   // what each check and wrap found and how long it took; nobody may keep them

	Dry        bool              // nothing is taken and nothing recorded
	Settlement ledger.Settlement // after Settle

	started  time.Time
	room     *[steps]Step  // of Steps, given back when the call has ended
	lapped   time.Time     // when the last step ended
	upstream time.Duration // spent waiting for the upstream
}

// Send forwards a request to the upstream and returns its answer.
type Send func(context.Context, *mcp.Message) (*mcp.Message, error)

// Step is one line of the inspector: a check or wrap, what it took and what it
// found.
type Step struct {
	Name  string
	Took  time.Duration
	Mark  string // ok, deny, would or fail
	Text  string
	Count int64 // of Unit, where that says what was found
	Unit  string
}

// Says is what was found, for a person.
func (s Step) Says() string {
	if s.Unit == "" {
		return s.Text
	}
	return fmt.Sprintf("%d %s", s.Count, s.Unit)
}

// Upstream adds time spent outside the gateway, so that Gate, what the
// gateway itself took, can be told from it.
func (c *Call) Upstream(d time.Duration) { c.upstream += d }

// Note adds a step.
func (c *Call) Note(s Step) { c.Steps = append(c.Steps, s) }
