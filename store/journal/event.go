// Package journal says what happened: every call and every act of an owner is
// an Event with a sequence number, and an event carries the ledger postings it
// stands for. The journal is the books; balances are a fold of it.
//
// It owns the events, their compact form, and the blocks they are written in,
// which are chained by hash. It does not know what an event does to a balance
// (package ledger), nor where blocks are kept (package store).
package journal

import (
	"encoding/json"
	"strings"
	"time"

	"paygate/pricing"
)

// Account is a place where credits are: "key:key_…", or one of the house's.
type Account string

// The house's accounts. Credits come from the bank when they are issued, go to
// revenue when they are charged and to expired when they are written off.
const (
	Bank    Account = "house:bank"
	Revenue Account = "house:revenue"
	Expired Account = "house:expired"
)

// KeyAccount is the account of a key, by its stable id.
func KeyAccount(id string) Account { return Account("key:" + id) }

// Key is the id of the key whose account it is, or empty.
func (a Account) Key() string {
	id, ok := strings.CutPrefix(string(a), "key:")
	if !ok {
		return ""
	}
	return id
}

// Bounded says whether the account must not go below zero: all but the house's
// own and those that others settle.
func (a Account) Bounded() bool {
	return strings.HasPrefix(string(a), "key:") || strings.HasPrefix(string(a), "tenant:")
}

// Entry moves an amount from one account to another, so the books balance by
// their shape. The same ID twice is a replay of the same act.
type Entry struct {
	ID       string
	From, To Account
	Amount   pricing.Credits // more than 0, at most pricing.MaxCredits
	Kind     string          // initial, topup, transfer, charge, refund, reserve, writeoff …
	Ref      string          // what it is for: a call, a note
}

// Event is something that happened.
type Event struct {
	Seq     uint64
	At      time.Time // millisecond precision, UTC
	Type    string    // "call", or an audit type such as "key.created"
	Actor   string    // who did it: "admin", a masked admin key, "system"
	Subject string    // stable id of the key it is about, if it is about one
	Posts   []Entry
	Call    *Call           // of a "call" event
	Hold    *Hold           // of an event that makes or ends a durable hold
	Data    json.RawMessage // the audit metadata
	Records []Record        // what the mutation wrote into the tables that the journal vouches for
}

// Record is a version of a record in a table of the state: digests of what it
// was and is. Zero: there was none, or there is none any more.
type Record struct {
	Table, ID string
	Was, Is   [16]byte
}

// Entries are the postings that an event stands for: its Posts, or the charge of
// its call.
func (e *Event) Entries() []Entry {
	c := e.Call
	if c == nil || c.Charged <= 0 {
		return e.Posts
	}
	return []Entry{{ID: c.ID, From: Account(c.Payer), To: Revenue, Amount: c.Charged, Kind: "charge", Ref: c.Tool}}
}

// Types of events that the ledger itself understands.
const (
	TypeCall     = "call"
	TypeBoot     = "boot"              // the gateway started: calls that were open have ended
	TypeDropped  = "calls.dropped"     // Data: by reason, how many refusals were not recorded one by one
	TypeTrimmed  = "journal.trimmed"   // Data {"first"}: what is before was forgotten
	TypeMode     = "mode.changed"      // Data {"mode"}: shadow mode began or ended
	TypeReserved = "credits.reserved"  // Hold: a reservation was made
	TypeCommit   = "credits.committed" // Hold: it was taken; the posting is in Posts
	TypeRelease  = "credits.released"  // Hold: it was given back, or its time was over
	TypeRefund   = "credits.refunded"  // what a call was charged was given back; the posting is in Posts
	TypeParked   = "call.parked"       // Hold: a call waits for input or for its task
	TypeRecords  = "records.written"   // Data {"table", "records"}; Records: what a mutation wrote that had no event of its own
	TypeVouched  = "records.vouched"   // Records: all that were there when the journal began to vouch for them
	TypeGranted  = "key.granted"       // the plan of the key's sheet gave a grant, or its rest expired; the postings are in Posts
	TypeToppedUp = "key.auto_topup"    // the plan of the key's sheet added credits; the posting is in Posts
	TypeWouldAdd = "key.would_topup"   // Data {"creditsAdded"}: the same in shadow mode, whose books alone it moves
)

// KindExpiry is the entry by which the rest of a grant ends. Books in which the
// key has spent more than in reality lose only what is there.
const KindExpiry = "expiry"

// Hold is a promise of credits that outlives its request.
type Hold struct {
	ID      string
	Key     string // stable id
	Credits pricing.Credits
	Made    time.Time
	Until   time.Time
	Memo    string
}

// Call is a tools/call as it is recorded: the facts, and all that it was
// judged by, so that the decision can be made again.
type Call struct {
	pricing.Call
	Sheet                     string // content hash of the price sheet
	AdmitSeq, SettleSeq       uint64 // both 0 for a call that was never admitted
	Quote, Charged, Shortfall pricing.Credits
	Surcharge                 pricing.Credits // the part of Charged that its output caused
	Would                     pricing.Credits // shadow mode: what would have been charged
	Deltas                    pricing.Deltas
	Limits                    []Limit  // what Reserve was asked
	Findings                  []string // reasons of every failing check, in the contract's order
	Reasons                   []string // those of Findings that the book itself found
	BatchN, BatchI            int      // the call is BatchI of BatchN that were admitted together
	Together                  bool     // refused in one decision with the rest of its batch
	Observed                  bool     // shadow mode: economic findings were not enforced and nothing moved
	IP                        string
	Gate                      time.Duration // of Took, what the gateway itself needed
	Error                     string        // why failed or lost, at most 200 bytes
	Ref                       string        // of a task: the key and the server's task id
}

// Kind is what a Limit counts.
type Kind uint8

// The kinds of limits. The numbers are on disk: new ones go to the end.
const (
	KeyRate  Kind = iota // calls in a sliding window
	ToolRate             // calls of one tool in a sliding window
	LifetimeSpend
	DailyCalls
	MonthlyCalls
	DailyCredits
	MonthlyCredits
	Kinds // how many there are
)

var reasons = [Kinds]string{"rate_limited", "tool_rate_limited", "spending_limit_exceeded", "daily_call_quota_exceeded",
	"monthly_call_quota_exceeded", "daily_credit_quota_exceeded", "monthly_credit_quota_exceeded"}

// Reason is the contract's word for a limit that is reached.
func (k Kind) Reason() string { return reasons[k] }

// Window says whether the kind counts in a sliding window.
func (k Kind) Window() bool { return k == KeyRate || k == ToolRate }

// InCredits says whether the kind counts credits rather than calls.
func (k Kind) InCredits() bool { return k == LifetimeSpend || k == DailyCredits || k == MonthlyCredits }

// Limit bounds what an owner may use. Max is today's policy: it is recorded
// with the call, so that scenarios use the limits of then.
type Limit struct {
	Owner  Account
	Kind   Kind
	Max    int64
	Window time.Duration // of a sliding window
}

// Period is the UTC day or month of a time as the kind counts them: 0 for
// kinds that never start anew.
func (k Kind) Period(t time.Time) int32 {
	y, m, d := t.UTC().Date()
	switch k {
	case DailyCalls, DailyCredits:
		return int32(y*10000 + int(m)*100 + d)
	case MonthlyCalls, MonthlyCredits:
		return int32(y*100 + int(m))
	}
	return 0
}

// Until is how long after t the period of the kind ends: 0 for kinds that
// never start anew.
func (k Kind) Until(t time.Time) time.Duration {
	t = t.UTC()
	y, m, d := t.Date()
	switch k {
	case DailyCalls, DailyCredits:
		return time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC).Sub(t)
	case MonthlyCalls, MonthlyCredits:
		return time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC).Sub(t)
	}
	return 0
}
