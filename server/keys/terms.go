package keys

import "time"

// Terms are what a key may do and who pays: everything the gate asks about a
// caller, as one value that never changes. A changed key has new Terms.
type Terms struct {
	ID            string // stable, "key_" and 16 hex digits; rotation keeps it
	Name          string
	Payer         string // account that pays
	Group         string
	Plan          string
	Namespace     string
	Tags          map[string]string
	Suspended     bool
	Made          time.Time // when the key was made
	ExpiresAt     time.Time // zero: never
	Allowed       []string  // tools; empty: all
	Denied        []string  // tools; wins over Allowed
	IPs           []string  // addresses and CIDR ranges; empty: all
	SpendingLimit int64     // credits over the key's life; 0: none
	RateLimit     int64     // calls a minute; 0: the global limit
	Quota         *Quota    // nil: the global one
}

// PerMinute is how many calls the key may make in any minute where so many are
// the rule; 0: as many as it likes.
func (t *Terms) PerMinute(rule int) int {
	if t.RateLimit > 0 {
		return int(t.RateLimit)
	}
	return rule
}

// Quota bounds the use of a key in a UTC day and month; 0 is no limit.
type Quota struct {
	DailyCalls     int64 `json:"dailyCallLimit"`
	MonthlyCalls   int64 `json:"monthlyCallLimit"`
	DailyCredits   int64 `json:"dailyCreditLimit"`
	MonthlyCredits int64 `json:"monthlyCreditLimit"`
}
