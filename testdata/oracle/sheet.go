package oracle

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// Dec is a decimal number as text; empty is 0.
type Dec string

// Rat is the number.
func (d Dec) Rat() *big.Rat {
	if d == "" {
		return new(big.Rat)
	}
	r, ok := new(big.Rat).SetString(string(d))
	if !ok {
		panic("no number: " + string(d))
	}
	return r
}

// Sheet is a price sheet.
type Sheet struct {
	CreditUSD Dec    `json:"creditUsd,omitempty"`
	Defaults  Price  `json:"defaults"`
	Rules     []Rule `json:"rules,omitempty"`
	Plans     []Plan `json:"plans,omitempty"`
}

// Price is one price.
type Price struct {
	PerCall     Dec    `json:"perCall,omitempty"`
	PerKBIn     Dec    `json:"perKbIn,omitempty"`
	PerKBOut    Dec    `json:"perKbOut,omitempty"`
	PerSecond   Dec    `json:"perSecond,omitempty"`
	Min         int64  `json:"min,omitempty"`
	Max         int64  `json:"max,omitempty"`
	Hold        int64  `json:"hold,omitempty"`
	BillOn      string `json:"billOn,omitempty"`
	Cached      *Dec   `json:"cached,omitempty"`
	Retry       string `json:"retry,omitempty"`
	RetryWithin int64  `json:"retryWithin,omitempty"` // ns
	Free        *Free  `json:"free,omitempty"`
	Tiers       *Tiers `json:"tiers,omitempty"`
}

// Free is an allowance.
type Free struct {
	Calls int64  `json:"calls"`
	Per   string `json:"per"`
}

// Tiers are graduated or by volume.
type Tiers struct {
	Mode  string `json:"mode"`
	Per   string `json:"per"`
	Steps []Step `json:"steps"`
}

// Step ends with call number To; 0: it does not end.
type Step struct {
	To int64 `json:"to,omitempty"`
	X  Dec   `json:"x"`
}

// Rule is a price with conditions.
type Rule struct {
	Match Match `json:"match"`
	Price Price `json:"price"`
}

// Match is the conditions.
type Match struct {
	Tool   string            `json:"tool,omitempty"`
	Plan   string            `json:"plan,omitempty"`
	Group  string            `json:"group,omitempty"`
	Result string            `json:"result,omitempty"`
	Tags   map[string]string `json:"tags,omitempty"`
	Dims   map[string]string `json:"dims,omitempty"`
	In     Range             `json:"in,omitzero"`
	Out    Range             `json:"out,omitzero"`
	Hours  Span              `json:"hours,omitzero"`
	Days   []int             `json:"days,omitempty"`
}

// Range is of bytes: From ≤ n < To.
type Range struct {
	From int64 `json:"from,omitempty"`
	To   int64 `json:"to,omitempty"`
}

// Span is of minutes of the day.
type Span struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// Plan is what keys of it get.
type Plan struct {
	Name     string `json:"name"`
	Grant    int64  `json:"grant,omitempty"`
	GrantPer string `json:"grantPer,omitempty"`
	Expires  bool   `json:"expires,omitempty"`
	Rollover int64  `json:"rollover,omitempty"`
	Rate     int64  `json:"rate,omitempty"`
	SpendCap int64  `json:"spendCap,omitempty"`
	CapPer   string `json:"capPer,omitempty"`
	TopUp    TopUp  `json:"topUp,omitzero"`
}

// TopUp fills a low balance.
type TopUp struct {
	Below  int64 `json:"below,omitempty"`
	Add    int64 `json:"add,omitempty"`
	PerDay int64 `json:"perDay,omitempty"`
}

func (s *Sheet) plan(name string) *Plan {
	for i := range s.Plans {
		if name != "" && s.Plans[i].Name == name {
			return &s.Plans[i]
		}
	}
	return nil
}

// ReadSheet reads a sheet's canonical text in either of its forms.
func ReadSheet(text string) (*Sheet, error) {
	if spec, ok := strings.CutPrefix(text, "paygate-sheet 2\n"); ok {
		s := &Sheet{}
		return s, json.Unmarshal([]byte(spec), s)
	}
	s := &Sheet{Defaults: Price{BillOn: "accepted"}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		var a, b, c, tool string
		switch {
		case line == "refund true":
			s.Defaults.BillOn = "success"
		case strings.HasPrefix(line, "default "):
			if _, err := fmt.Sscanf(line, "default %s %s %s", &a, &b, &c); err != nil {
				return nil, fmt.Errorf("%q: %w", line, err)
			}
			s.Defaults.PerCall, s.Defaults.PerKBIn, s.Defaults.PerKBOut = Dec(a), Dec(b), Dec(c)
		case strings.HasPrefix(line, "tool "):
			if _, err := fmt.Sscanf(line, "tool %q %s %s %s", &tool, &a, &b, &c); err != nil {
				return nil, fmt.Errorf("%q: %w", line, err)
			}
			s.Rules = append(s.Rules, Rule{Match{Tool: tool}, Price{PerCall: Dec(a), PerKBIn: Dec(b), PerKBOut: Dec(c)}})
		}
	}
	return s, nil
}

// YAML is the sheet as people write it.
func (s *Sheet) YAML() string {
	var b strings.Builder
	if s.CreditUSD != "" {
		fmt.Fprintf(&b, "currency: {credit_usd: %q}\n", s.CreditUSD)
	}
	fmt.Fprintf(&b, "defaults: {%s}\n", s.Defaults.yaml())
	if len(s.Rules) > 0 {
		b.WriteString("rules:\n")
	}
	for _, r := range s.Rules {
		fmt.Fprintf(&b, "- match: {%s}\n  price: {%s}\n", r.Match.yaml(), r.Price.yaml())
	}
	if len(s.Plans) > 0 {
		b.WriteString("plans:\n")
	}
	for _, p := range s.Plans {
		fmt.Fprintf(&b, "  %s: {%s}\n", p.Name, p.yaml())
	}
	return b.String()
}

// members are those of an object that are not empty.
type members []string

func (m *members) add(there bool, format string, args ...any) {
	if there {
		*m = append(*m, fmt.Sprintf(format, args...))
	}
}

func (p Price) yaml() string {
	var m members
	m.add(p.PerCall != "", "per_call: %s", p.PerCall)
	m.add(p.PerKBIn != "", "per_kb_in: %s", p.PerKBIn)
	m.add(p.PerKBOut != "", "per_kb_out: %s", p.PerKBOut)
	m.add(p.PerSecond != "", "per_second: %s", p.PerSecond)
	m.add(p.Min > 0, "min: %d", p.Min)
	m.add(p.Max > 0, "max: %d", p.Max)
	m.add(p.Hold > 0, "hold: %d", p.Hold)
	m.add(p.BillOn != "", "bill_on: %s", p.BillOn)
	if p.Cached != nil {
		m.add(true, "cached: %s", *p.Cached)
	}
	switch {
	case p.RetryWithin > 0:
		m.add(true, "retry: free_within %ds", p.RetryWithin/1e9)
	default:
		m.add(p.Retry != "", "retry: %s", p.Retry)
	}
	if p.Free != nil {
		m.add(true, "free: %d/%s", p.Free.Calls, p.Free.Per)
	}
	if t := p.Tiers; t != nil {
		var steps members
		for _, s := range t.Steps {
			if s.To > 0 {
				steps.add(true, "{to: %d, x: %s}", s.To, s.X)
			} else {
				steps.add(true, "{x: %s}", s.X)
			}
		}
		m.add(true, "tiers: {mode: %s, per: key/%s, steps: [%s]}", t.Mode, t.Per, strings.Join(steps, ", "))
	}
	return strings.Join(m, ", ")
}

func (c Match) yaml() string {
	var m members
	m.add(c.Tool != "", "tool: %q", c.Tool)
	m.add(c.Plan != "", "plan: %q", c.Plan)
	m.add(c.Group != "", "group: %q", c.Group)
	m.add(c.Result != "", "result: %q", c.Result)
	for _, name := range slices.Sorted(maps.Keys(c.Tags)) {
		m.add(true, "tag.%s: %q", name, c.Tags[name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.Dims)) {
		m.add(true, "dim.%s: %q", name, c.Dims[name])
	}
	m.add(c.In != Range{}, "in: %q", c.In.text())
	m.add(c.Out != Range{}, "out: %q", c.Out.text())
	m.add(c.Hours != Span{}, "hours: \"%02d:%02d-%02d:%02d\"", c.Hours.From/60, c.Hours.From%60, c.Hours.To/60, c.Hours.To%60)
	if len(c.Days) > 0 {
		var days members
		for _, d := range c.Days {
			days.add(true, "%s", []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}[d])
		}
		m.add(true, "days: [%s]", strings.Join(days, ", "))
	}
	return strings.Join(m, ", ")
}

func (r Range) text() string {
	from, to := "", ""
	if r.From > 0 {
		from = fmt.Sprint(r.From, "B")
	}
	if r.To > 0 {
		to = fmt.Sprint(r.To, "B")
	}
	return from + ".." + to
}

func (p Plan) yaml() string {
	var m members
	m.add(p.Grant > 0, "grant: %d/%s", p.Grant, p.GrantPer)
	m.add(p.Expires, "expires: %s_end", p.GrantPer)
	m.add(p.Rollover > 0, "rollover: %d", p.Rollover)
	m.add(p.Rate > 0, "rate: %d/min", p.Rate)
	m.add(p.SpendCap > 0, "spend_cap: %d/%s", p.SpendCap, p.CapPer)
	if t := p.TopUp; t.Add > 0 {
		most := ""
		if t.PerDay > 0 {
			most = fmt.Sprintf(", max: %d/day", t.PerDay)
		}
		m.add(true, "auto_topup: {below: %d, add: %d%s}", t.Below, t.Add, most)
	}
	return strings.Join(m, ", ")
}
