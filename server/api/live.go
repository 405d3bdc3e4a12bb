package api

import "time"

// The shapes in this file are what the terminal dashboard reads and writes.
// They stand beside the older contract; amounts are whole credits, durations
// are milliseconds, names end in the unit where it is not plain.

// Live is one frame of GET /admin/live (server-sent events named "frame").
// Each frame is whole: a client that missed some is right again at the next.
type Live struct {
	At        time.Time   `json:"at"`
	Seq       uint64      `json:"seq"`              // journal position that the frame has seen
	Mode      string      `json:"mode"`             // "live" or "shadow"
	Canary    float64     `json:"canary,omitempty"` // percent of keys that pay a candidate's prices; 0: none runs
	Demo      bool        `json:"demo,omitempty"`
	Role      string      `json:"role"` // of the reader: super_admin, admin or viewer
	Name      string      `json:"name"`
	Version   string      `json:"version"`
	Overview  Overview    `json:"overview"`
	Calls     []CallRow   `json:"calls,omitempty"` // newest first, at most 100, since the frame before
	Passed    int         `json:"passed"`          // calls since the frame before that match the filter, shown or not
	Servers   []Server    `json:"servers"`
	Attention []Attention `json:"attention,omitempty"` // worst first
}

// Overview sums the calls of one window.
type Overview struct {
	WindowSeconds    int         `json:"windowSeconds"`
	StepSeconds      int         `json:"stepSeconds"`
	Calls            []float64   `json:"calls"`             // a second, oldest step first; the unfinished step is left out
	Credits          []float64   `json:"credits"`           // a second: charged, or in shadow mode what would have been
	Latency          [][]int     `json:"latency,omitempty"` // a step: how many calls in each band of LatencyBands
	CallsPerSecond   float64     `json:"callsPerSecond"`    // of the last finished steps (10 s)
	CreditsPerSecond float64     `json:"creditsPerSecond"`
	ChangePercent    *float64    `json:"changePercent"` // calls against the same window a day before; nil: nothing to compare with
	P50              float64     `json:"p50"`
	P95              float64     `json:"p95"`
	P99              float64     `json:"p99"`
	GateP50          float64     `json:"gateP50"`     // what the gateway added
	FailedShare      float64     `json:"failedShare"` // 0..1
	DeniedShare      float64     `json:"deniedShare"` // 0..1
	InFlight         int         `json:"inFlight"`
	Sessions         int         `json:"sessions"`
	KeysToday        int         `json:"keysToday"`
	Keys             int         `json:"keys"`
	Held             int64       `json:"held"`
	Spendable        int64       `json:"spendable"`
	CreditsToday     int64       `json:"creditsToday"`
	Tools            []ToolRow   `json:"tools"`   // busiest first, at most 20
	TopKeys          []BurnRow   `json:"topKeys"` // dearest first, at most 20
	Denied           []ReasonRow `json:"denied"`  // most frequent first
	UptimeSeconds    int64       `json:"uptimeSeconds"`
	HasCalls         bool        `json:"hasCalls"` // in the last 14 days
}

// LatencyBands are the upper edges, in milliseconds, of Overview.Latency; a
// last band holds what is slower.
func LatencyBands() []float64 { return []float64{0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000} }

// ToolRow is one tool in the Overview.
type ToolRow struct {
	Tool             string  `json:"tool"`
	CallsPerSecond   float64 `json:"callsPerSecond"`
	CreditsPerSecond float64 `json:"creditsPerSecond"`
	P95              float64 `json:"p95"`
	FailedShare      float64 `json:"failedShare"`
}

// BurnRow is one key in the Overview.
type BurnRow struct {
	ID               string    `json:"id"`
	Name             string    `json:"name"`
	CreditsPerSecond float64   `json:"creditsPerSecond"`
	Credits          int64     `json:"credits"`
	DryInSeconds     *int64    `json:"dryInSeconds"`      // nil: burns nothing
	Last12h          []float64 `json:"last12h,omitempty"` // credits an hour
}

// ReasonRow counts one reason of denial.
type ReasonRow struct {
	Reason    string  `json:"reason"`
	PerMinute float64 `json:"perMinute"`
	Count     int64   `json:"count"`
}

// Attention is something the owner should look at.
type Attention struct {
	Level string `json:"level"` // "bad" or "warn"
	Text  string `json:"text"`
	View  string `json:"view"` // "keys", "servers", "calls", "ledger"
	ID    string `json:"id,omitempty"`
}

// CallRow is one call in a list: GET /admin/calls and Live.Calls.
type CallRow struct {
	ID       string            `json:"id"` // req_…
	Seq      uint64            `json:"seq"`
	At       time.Time         `json:"at"`
	KeyID    string            `json:"keyId,omitempty"`
	Key      string            `json:"key"` // the key's name, or "–" for none
	Tool     string            `json:"tool"`
	Server   string            `json:"server,omitempty"`
	Plan     string            `json:"plan,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
	IP       string            `json:"ip,omitempty"`
	Outcome  string            `json:"outcome"`          // ok, failed, lost, denied
	Reason   string            `json:"reason,omitempty"` // why denied, lost or failed; in shadow mode why it would be denied
	Would    bool              `json:"would,omitempty"`  // shadow mode: Credits is what it would cost, and Reason what would stop it
	Credits  int64             `json:"credits"`
	TookMs   float64           `json:"tookMs"`
	GateMs   float64           `json:"gateMs"`
	In       int64             `json:"in"`
	Out      int64             `json:"out"`
	Cached   bool              `json:"cached,omitempty"`
	Repeated bool              `json:"repeated,omitempty"` // answered with what an earlier request got
}

// CallPage answers GET /admin/calls?filter=&before=SEQ&limit=.
type CallPage struct {
	Calls  []CallRow `json:"calls"`  // newest first
	Before uint64    `json:"before"` // ask for older ones with this; 0: no more
}

// CallDetail answers GET /admin/calls/{id}.
type CallDetail struct {
	CallRow
	Sheet     string `json:"sheet"` // content hash of the price sheet
	Lines     []Line `json:"lines"` // the charge line by line; they add up to Due
	Held      int64  `json:"held"`
	Due       int64  `json:"due"`
	Charged   int64  `json:"charged"`
	Shortfall int64  `json:"shortfall"`
	Way       []Step `json:"way"`
	Request   string `json:"request,omitempty"`  // redacted JSON; empty when no longer kept
	Response  string `json:"response,omitempty"` // the same
	Kept      bool   `json:"kept"`               // whether request and response are still in memory
}

// Line is one line of a charge.
type Line struct {
	What   string `json:"what"`   // "per call", "input", "output", "plan", …
	How    string `json:"how"`    // "2,114 B = 3 KB x 1"
	Amount int64  `json:"amount"` // may be negative
}

// Step is one check or wrap on a call's way.
type Step struct {
	Name   string  `json:"name"`
	TookMs float64 `json:"tookMs"`
	Mark   string  `json:"mark"` // ok, deny, would, fail
	Text   string  `json:"text,omitempty"`
}

// Server is one MCP server behind the gateway: GET /admin/servers.
type Server struct {
	Prefix         string     `json:"prefix"`    // empty for the only one
	Transport      string     `json:"transport"` // stdio or http
	Target         string     `json:"target"`    // command line or URL, secrets masked
	State          string     `json:"state"`     // starting, ready, slow, restarting, down, draining
	Since          time.Time  `json:"since"`
	NextTry        *time.Time `json:"nextTry,omitempty"`
	Restarts       int        `json:"restarts"`
	LastError      string     `json:"lastError,omitempty"`
	Pids           []int      `json:"pids,omitempty"`
	Tools          int        `json:"tools"`
	InFlight       int        `json:"inFlight"`
	Revision       string     `json:"revision,omitempty"`
	CallsPerSecond float64    `json:"callsPerSecond"`
	P95            float64    `json:"p95"`
	FailedShare    float64    `json:"failedShare"`
}

// ServerSpec adds a server: POST /admin/servers.
type ServerSpec struct {
	Prefix  string            `json:"prefix"`
	Command string            `json:"command,omitempty"` // split like a shell would; or
	URL     string            `json:"url,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
	Cwd     string            `json:"cwd,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
}

// LogLine is one line of GET /admin/logs (JSON, or SSE events named "line")
// and of GET /admin/servers/stderr?prefix=.
type LogLine struct {
	At    time.Time `json:"at"`
	Level string    `json:"level"` // debug, info, warn, error
	Text  string    `json:"text"`
	Attrs string    `json:"attrs,omitempty"` // "k=v k=v"
}

// LedgerRow is one entry: GET /admin/ledger?before=&limit=&key=&kind=.
type LedgerRow struct {
	N        uint64    `json:"n"` // sequence number of the event that holds it
	ID       string    `json:"id"`
	At       time.Time `json:"at"`
	Kind     string    `json:"kind"`
	Amount   int64     `json:"amount"`
	From     string    `json:"from"` // account; names in FromName, ToName where it is a key's
	To       string    `json:"to"`
	FromName string    `json:"fromName,omitempty"`
	ToName   string    `json:"toName,omitempty"`
	Ref      string    `json:"ref,omitempty"` // the call, the admin's note, …
}

// LedgerPage answers GET /admin/ledger.
type LedgerPage struct {
	Entries []LedgerRow `json:"entries"` // newest first
	Before  uint64      `json:"before"`
	Proof   Proof       `json:"proof"`
}

// Proof is how the last verification of the books ended: GET and POST
// /admin/ledger/verify.
type Proof struct {
	At       *time.Time `json:"at"` // nil: not proved since start
	Running  bool       `json:"running"`
	Done     float64    `json:"done"` // 0..1 while it runs
	OK       bool       `json:"ok"`
	Events   uint64     `json:"events"`
	Entries  uint64     `json:"entries"`
	Balances int        `json:"balances"`
	Faults   []string   `json:"faults,omitempty"`
}

// KeyRow is one key of GET /keys once a page is asked for (limit, offset,
// search, sortBy …); its fields stand beside the older contract's.
type KeyRow struct {
	ID            string            `json:"id"`
	KeyPrefix     string            `json:"keyPrefix"`
	Name          string            `json:"name"`
	Alias         string            `json:"alias,omitempty"`
	Credits       int64             `json:"credits"`
	Held          int64             `json:"held"`
	Active        bool              `json:"active"` // false: revoked
	Suspended     bool              `json:"suspended"`
	Expired       bool              `json:"expired"`
	ExpiresAt     *time.Time        `json:"expiresAt"`
	CreatedAt     time.Time         `json:"createdAt"`
	LastUsedAt    *time.Time        `json:"lastUsedAt"`
	TotalSpent    int64             `json:"totalSpent"`
	TotalCalls    int64             `json:"totalCalls"`
	SpendingLimit int64             `json:"spendingLimit"`       // 0: none
	RateLimit     int64             `json:"rateLimit,omitempty"` // calls a minute; 0: the global limit
	AllowedTools  []string          `json:"allowedTools"`
	DeniedTools   []string          `json:"deniedTools"`
	IPAllowlist   []string          `json:"ipAllowlist"`
	Tags          map[string]string `json:"tags"`
	Namespace     string            `json:"namespace"`
	Group         string            `json:"group,omitempty"`
	Plan          string            `json:"plan,omitempty"`
	Quota         *Quota            `json:"quota"`
	BurnPerHour   float64           `json:"burnPerHour"`
	DryInSeconds  *int64            `json:"dryInSeconds"`    // nil: never, as it stands
	Spark         []float64         `json:"spark,omitempty"` // credits an hour of the last 24 h, with ?spark=true
}

// Quota is how much a key may use in a UTC day and month; 0 means no limit.
type Quota struct {
	DailyCallLimit     int64 `json:"dailyCallLimit"`
	MonthlyCallLimit   int64 `json:"monthlyCallLimit"`
	DailyCreditLimit   int64 `json:"dailyCreditLimit"`
	MonthlyCreditLimit int64 `json:"monthlyCreditLimit"`
}

// KeyPage is GET /keys with paging. sortBy knows, beside the older fields,
// burnPerHour and dryIn; search matches name, alias, id and prefix.
type KeyPage struct {
	Keys   []KeyRow `json:"keys"`
	Total  int      `json:"total"`
	Limit  int      `json:"limit"`
	Offset int      `json:"offset"`
}

// KeyUse is the history of one key: GET /admin/keys/use?key=ID&hours=168.
type KeyUse struct {
	StepSeconds int       `json:"stepSeconds"`
	Balance     []float64 `json:"balance"` // at the end of each step, oldest first
	Spent       []float64 `json:"spent"`   // in each step
	Calls       []float64 `json:"calls"`
	Denied      []float64 `json:"denied"`
}

// Prices answers GET /admin/prices: the live sheet as a table over the tools
// that are known.
type Prices struct {
	Sheet   string     `json:"sheet"` // content hash
	Default int64      `json:"default"`
	Tools   []PriceRow `json:"tools"`
	Source  string     `json:"source"` // "file", "prices", "lab"
}

// PriceRow is one tool's price.
type PriceRow struct {
	Tool            string  `json:"tool"`
	Known           bool    `json:"known"` // a server offers it
	Own             bool    `json:"own"`   // it has a price of its own rather than the default
	PerCall         int64   `json:"perCall"`
	PerKBIn         int64   `json:"perKbIn"`
	PerKBOut        int64   `json:"perKbOut"`
	RateLimitPerMin int     `json:"rateLimitPerMin"`
	CallsPerHour    float64 `json:"callsPerHour"`
	CreditsPerHour  float64 `json:"creditsPerHour"`
}

// PriceChange sets what it names and leaves the rest; Tool "*" is the default.
type PriceChange struct {
	Tool     string `json:"tool"`
	PerCall  *int64 `json:"perCall,omitempty"`
	PerKBIn  *int64 `json:"perKbIn,omitempty"`
	PerKBOut *int64 `json:"perKbOut,omitempty"`
}

// PriceUpdate is the body of POST /admin/prices (apply) and POST
// /admin/prices/effect (what it would have done to the last hour).
type PriceUpdate struct {
	Base    string        `json:"base,omitempty"` // sheet the change was made against; 409 when another one is live by now
	Changes []PriceChange `json:"changes"`
}

// Effect is what a staged change would have meant for recorded calls.
type Effect struct {
	From    time.Time   `json:"from"`
	To      time.Time   `json:"to"`
	Calls   int         `json:"calls"`
	Keys    int         `json:"keys"`
	Now     int64       `json:"now"`     // credits collected, or collectable in shadow mode
	Staged  int64       `json:"staged"`  // collectable under the change, limits and balances re-enacted
	Denied  int         `json:"denied"`  // calls newly denied
	Stopped []EffectKey `json:"stopped"` // keys that would have run dry, first first
	Bills   []EffectKey `json:"bills"`   // largest rises first
}

// EffectKey is one key in an Effect.
type EffectKey struct {
	ID     string     `json:"id"`
	Name   string     `json:"name"`
	At     *time.Time `json:"at,omitempty"` // when it would have stopped
	Now    int64      `json:"now"`
	Staged int64      `json:"staged"`
}

// Mode is GET and POST /admin/mode.
type Mode struct {
	Mode string `json:"mode"` // "live" or "shadow"
	// Broke counts the keys that would be refused at once for want of credits.
	Broke  int    `json:"broke"`
	Source string `json:"source"` // "file", "api"
}
