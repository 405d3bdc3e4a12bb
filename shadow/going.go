package shadow

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/shadow/report"
	"paygate/store/sheets"
)

// Promotion is what somebody wants who makes a candidate's prices live.
type Promotion struct {
	Name     string
	Override []string      // guardrails that are waived, by name, or "all"
	At       time.Time     // zero: now
	Percent  float64       // of the keys that begin, as a canary; 0: all of them
	For      time.Duration // after which all keys follow a canary; 0: when somebody says so
	Keep     string        // who goes on paying by the old sheet; see the constants
	PerCall  pricing.Credits
	PerDay   pricing.Credits
	Quiet    string // "22:00-07:00" UTC: nothing begins by itself then
}

// Who goes on paying by the old sheet. "until:" and a date is "existing" that
// ends then.
const (
	KeepNone     = "none"
	KeepExisting = "existing" // the keys that are there at the switch
	KeepUntil    = "until:"
	KeepEnd      = "end" // nobody, and earlier promises end as well
)

// Going is how an experiment goes live, as it was decided.
type Going struct {
	At       *time.Time      `json:"at,omitempty"`
	Percent  float64         `json:"percent,omitempty"`
	For      string          `json:"for,omitempty"`
	Until    *time.Time      `json:"until,omitempty"` // the end of a canary that has begun
	Keep     string          `json:"keep"`
	PerCall  pricing.Credits `json:"perCall,omitempty"`
	PerDay   pricing.Credits `json:"perDay,omitempty"`
	Quiet    string          `json:"quietHours,omitempty"`
	Override []string        `json:"override,omitempty"`
	By       string          `json:"by"`
	Charged  string          `json:"charged"`          // what a canary's keys pay by: the candidate, with its cap
	Since    *time.Time      `json:"since,omitempty"`  // the first call that it was charged for came after
	Before   []sheets.Kept   `json:"before,omitempty"` // promises before it, which a rollback puts back
}

// Refused says why a promotion did not happen at its time: a scheduled one, or
// the one that ends a canary.
type Refused struct {
	At    time.Time `json:"at"`
	Why   string    `json:"why"`
	Asked time.Time `json:"asked"` // when it was to happen
}

// promotion is what was asked when it was decided.
func (e *Experiment) promotion() Promotion {
	g := e.Going
	p := Promotion{Name: e.Name, Override: g.Override, Percent: g.Percent, Keep: g.Keep, PerCall: g.PerCall, PerDay: g.PerDay, Quiet: g.Quiet}
	if g.At != nil {
		p.At = *g.At
	}
	p.For, _ = time.ParseDuration(g.For) // as String wrote it; empty: none
	return p
}

// Review is a report that somebody has seen.
type Review struct {
	Report string    `json:"report"` // hash of the report
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`
}

// reviewOf is a report's hash.
func reviewOf(r *report.Report) (string, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("report of %s: %w", r.Name, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// unattended says whether some of it happens without anybody there.
func (p *Promotion) unattended() bool { return !p.At.IsZero() || p.Percent > 0 && p.For > 0 }

// check says what is wrong with a promotion, whatever the report.
func (p *Promotion) check(now time.Time) error {
	switch {
	case p.Percent < 0 || p.Percent >= 100:
		return badInput("canary %v: it is a share of the keys, more than 0 and less than 100 percent", p.Percent)
	case p.For < 0:
		return badInput("for %s: it is how long a canary takes", p.For)
	case p.Percent == 0 && (p.For > 0 || p.PerCall > 0 || p.PerDay > 0):
		return badInput("for, maxPerCall and maxPerDay bound a canary; give canary the share of keys that begin")
	case p.PerCall < 0 || p.PerDay < 0:
		return badInput("maxPerCall and maxPerDay are whole credits from 1 up")
	case !p.At.IsZero() && !p.At.After(now):
		return badInput("at %s is over; leave it out to go live now", p.At.Format(time.RFC3339))
	}
	if _, _, err := p.keeps(now); err != nil {
		return err
	}
	_, err := quietSpan(p.Quiet)
	return err
}

// Keeps says whether keys that are there go on paying by the old sheet.
func (p *Promotion) Keeps() bool {
	existing, _, err := p.keeps(time.Time{})
	return err == nil && existing
}

// keeps reads Keep.
func (p *Promotion) keeps(now time.Time) (existing bool, until *time.Time, err error) {
	switch {
	case p.Keep == "", p.Keep == KeepNone, p.Keep == KeepEnd:
		return false, nil, nil
	case p.Keep == KeepExisting:
		return true, nil, nil
	}
	text, ok := strings.CutPrefix(p.Keep, KeepUntil)
	if !ok {
		return false, nil, badInput("keep %q: it is none, existing, end, or until: and a date such as until:2027-01-31", p.Keep)
	}
	end, err := time.Parse(time.RFC3339, text)
	if err != nil {
		end, err = time.Parse(time.DateOnly, text)
	}
	if err != nil {
		return false, nil, badInput("keep %q: write the date as until:2027-01-31 or until:2027-01-31T12:00:00Z", p.Keep)
	}
	begin := now
	if p.At.After(begin) {
		begin = p.At
	}
	if !end.After(begin) {
		return false, nil, badInput("keep %q: that is before the switch", p.Keep)
	}
	end = end.UTC()
	return true, &end, nil
}

// span is a part of the day, in minutes after midnight UTC.
type span struct{ from, to int }

func quietSpan(text string) (*span, error) {
	if text == "" {
		return nil, nil
	}
	from, to, ok := strings.Cut(text, "-")
	a, err1 := time.Parse("15:04", strings.TrimSpace(from))
	b, err2 := time.Parse("15:04", strings.TrimSpace(to))
	if !ok || err1 != nil || err2 != nil || a.Equal(b) {
		return nil, badInput(`quietHours %q: write two times of day in UTC, such as "22:00-07:00"`, text)
	}
	return &span{a.Hour()*60 + a.Minute(), b.Hour()*60 + b.Minute()}, nil
}

func (s *span) has(at time.Time) bool {
	if s == nil {
		return false
	}
	m := at.UTC().Hour()*60 + at.UTC().Minute()
	if s.from < s.to {
		return s.from <= m && m < s.to
	}
	return s.from <= m || m < s.to
}

// quiet says whether nothing is to begin by itself at a time.
func (g *Going) quiet(at time.Time) bool {
	s, err := quietSpan(g.Quiet)
	return err == nil && s.has(at)
}

// capped is a sheet whose calls cost at most so much; 0 is no bound.
func capped(s *pricing.Sheet, most pricing.Credits) (*pricing.Sheet, error) {
	if most <= 0 {
		return s, nil
	}
	spec := s.Spec()
	low := func(p *pricing.Price) {
		if p.Max == 0 || p.Max > most {
			p.Max = most
		}
		p.Min, p.Hold = min(p.Min, p.Max), min(p.Hold, p.Max)
	}
	low(&spec.Defaults)
	for i := range spec.Rules {
		low(&spec.Rules[i].Price)
	}
	return pricing.Compile(spec)
}
