// Package config is what the owner has set: in a file (JSON or YAML), in
// PAYGATE_ variables and in flags, of which flags win over variables over the
// file over the defaults. Everything that is wrong is said at once, with its
// line and what to do about it.
//
// It knows names, types and bounds. What a setting does is its reader's
// business.
package config

import (
	"time"

	"paygate/pricing"
)

// Static is what is read once: a reload cannot change it.
type Static struct {
	File      string // the file it came from; empty: none
	Host      string
	Port      int
	StateDir  string
	AdminKey  string // bootstrap admin key; empty: kept or generated
	LogLevel  string // debug, info, warn, error
	LogFormat string // text, json
	Servers   []Server
	Separator string // between a server's prefix and a tool's name

	RequestTimeout           time.Duration // how long a client may take to send a request
	HeaderTimeout            time.Duration
	KeepAlive                time.Duration // of idle connections
	MaxConnections           int
	MaxConnectionsPerAddress int // of them, those of one address; 0: half
}

// Server is one MCP server behind the gateway: by Command or by URL.
type Server struct {
	Prefix    string
	Command   string
	Args      []string
	URL       string
	Env       map[string]string
	Dir       string
	Headers   map[string]string
	Isolation string // "", "session" or "shared"
}

// Config is what may change while the gateway runs.
type Config struct {
	Name             string
	DefaultCredits   pricing.Credits
	Tools            map[string]Tool
	RefundOnFailure  bool
	ShadowMode       bool
	AnnouncePrices   bool // agents see prices in shadow mode too
	GlobalRateLimit  int  // calls a minute and key; 0: none
	FreeMethods      []string
	GlobalQuota      Quota
	TrustedProxies   []string
	CustomHeaders    map[string]string
	CORSOrigin       []string
	CORSCredentials  bool
	CORSMaxAge       int // seconds
	AdminRateLimit   int // requests a minute and address; 0: none
	SessionRateLimit int
	PublicRateLimit  int
	ToolTimeout      time.Duration // 0: none
	ImportKeys       map[string]pricing.Credits
	MetricsNeedKey   bool
	RetentionDays    int   // of the journal; 0: no limit
	RetentionBytes   int64 // of the state file that are in use; 0: no limit
}

// Tool is what the owner has set for one tool.
type Tool struct {
	Price     pricing.ToolPrice
	RateLimit int // calls a minute and key; 0: none of its own
	Timeout   time.Duration
}

// Quota bounds a key without a quota of its own; 0 is no limit.
type Quota struct{ DailyCalls, MonthlyCalls, DailyCredits, MonthlyCredits int64 }

// All is the whole configuration, and where it came from.
type All struct {
	Static
	Config
}

// Defaults are what holds when nothing is set.
func Defaults() All {
	return All{
		Static: Static{Host: "127.0.0.1", Port: 3402, LogLevel: "info", LogFormat: "text", Separator: ":",
			RequestTimeout: 30 * time.Second, HeaderTimeout: 10 * time.Second, KeepAlive: 65 * time.Second, MaxConnections: 10000},
		Config: Config{Name: "PayGate", DefaultCredits: 1, Tools: map[string]Tool{}, GlobalRateLimit: 60,
			AdminRateLimit: 120, SessionRateLimit: 60, PublicRateLimit: 300, CORSMaxAge: 86400, RetentionDays: 90, RetentionBytes: 10_000_000_000, CustomHeaders: map[string]string{}, ImportKeys: map[string]pricing.Credits{}},
	}
}

// Sheet is the configured prices as a price sheet.
func (c *Config) Sheet() *pricing.Sheet {
	tools := make(map[string]pricing.ToolPrice, len(c.Tools))
	for name, t := range c.Tools {
		tools[name] = t.Price
	}
	return pricing.FromTools(pricing.ToolPrice{PerCall: c.DefaultCredits}, tools, c.RefundOnFailure)
}
