// Package report finds what the counts of a candidate say: exact figures, which
// are arithmetic over recorded calls, projected ones, which have intervals or say
// why not, and the guardrails of going live. It reads no journal and no clock, so
// the same counts always make the same report. How it looks says package form.
package report

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/shadow/tally"
	"paygate/shadow/trial"
	"paygate/shadow/whatif"
)

// Report is what a candidate would have meant: the same content in every form.
// Exact figures are arithmetic over recorded calls; projected ones are about
// other calls and have intervals, or say why they have none.
type Report struct {
	Name           string        `json:"name"`
	Demo           bool          `json:"demo,omitempty"` // the calls are made up
	Live           string        `json:"live"`           // hash of the sheet that was live at the start
	Candidate      string        `json:"candidate"`      // hash
	From           time.Time     `json:"from"`
	To             time.Time     `json:"to"`
	Seed           uint64        `json:"seed"`
	Version        string        `json:"version"` // of the program that made it
	LogDigest      string        `json:"logDigest"`
	LastSeq        uint64        `json:"lastSeq"` // the last act that is in the report
	Grade          string        `json:"grade"`   // A: shadow mode; B: charged, few denied; C: demand is censored
	Coverage       float64       `json:"coverage"`
	Attempts       int           `json:"attempts"`
	SelfDifference int           `json:"selfDifference"`
	WhatIf         *whatif.Guess `json:"whatIf,omitempty"`
	Lag            uint64        `json:"lag"` // acts that came while it was made
	Exact          Exact         `json:"exact"`
	Projected      Projected     `json:"projected"`
	Guardrails     []Guardrail   `json:"guardrails"`
	Frontier       []Point       `json:"frontier"`             // every candidate that was lived through beside this one
	Trial          *trial.Trial  `json:"experiment,omitempty"` // once some keys pay by it
	Assumptions    []string      `json:"assumptions"`          // what every figure rests on
	Limits         []string      `json:"cannotKnow"`           // what no report of this kind can say
}

// Exact is what the recorded calls come to.
type Exact struct {
	Live       Column          `json:"live"`
	Candidate  Column          `json:"candidate"`
	Change     Change          `json:"change"`
	Lift       *float64        `json:"lift"` // of what is collected; null when live collects nothing
	Newly      Newly           `json:"newlyDenied"`
	Imputed    Imputed         `json:"imputed"`
	Keys       []KeyRow        `json:"keys"`
	Tools      []ToolRow       `json:"tools"`
	Waterfall  []Bar           `json:"waterfall"` // from what live collects to what the candidate does, and could
	Winners    []KeyRow        `json:"winners"`   // the ten that save most
	Losers     []KeyRow        `json:"losers"`    // the ten that pay most more
	Leakage    []Leak          `json:"leakage"`   // what was denied, by its first reason
	Timeline   Timeline        `json:"denialTimeline"`
	Runs       Runs            `json:"runs"`
	Survival   Survival        `json:"survival"`
	LiveLife   Survival        `json:"survivalLive"`
	Bills      Bills           `json:"bills"`
	Wallets    Wallets         `json:"wallets"`
	Sheets     []SheetRow      `json:"sheets"`         // by what calls were judged by
	DeniedBy   map[string]int  `json:"deniedByReason"` // by the candidate
	QuoteError *float64        `json:"quoteError"`     // (held − settled) / settled under the candidate
	Clipped    pricing.Credits `json:"clipped"`        // that acts of an owner wanted from poorer wallets
}

// Column is one sheet.
type Column struct {
	Potential   pricing.Credits `json:"potential"`
	Collectable pricing.Credits `json:"collectable"`
	Admitted    int             `json:"admitted"`
	Denied      int             `json:"denied"`
	Leakage     *float64        `json:"leakage"` // of the potential; null without one
}

// Change splits the change of what is collectable; the parts add up to Total.
type Change struct {
	Total      pricing.Credits `json:"total"`
	Rate       pricing.Credits `json:"rate"`
	AccessWon  pricing.Credits `json:"accessWon"`
	AccessLost pricing.Credits `json:"accessLost"`
	Refunds    pricing.Credits `json:"refunds"`
}

// Newly is what the candidate alone denies.
type Newly struct {
	Attempts  int            `json:"attempts"`
	Keys      int            `json:"keys"`
	ByReason  map[string]int `json:"byReason"`
	SoleCause int            `json:"soleCause"` // for one reason only
}

// Imputed are calls that the candidate admits and reality refused: guessed at
// their quotes and in no other figure but the counts.
type Imputed struct {
	Attempts int             `json:"attempts"`
	Credits  pricing.Credits `json:"credits"`
}

// KeyRow is one key.
type KeyRow struct {
	ID            string          `json:"id"`
	Name          string          `json:"name"`
	Live          pricing.Credits `json:"live"`
	Candidate     pricing.Credits `json:"candidate"`
	Admitted      int             `json:"admitted"`
	Denied        int             `json:"denied"`
	FirstDeniedAt *time.Time      `json:"firstDeniedAt"`
	NewlyDenied   int             `json:"newlyDenied"`
	StoppedBy     string          `json:"stoppedBy,omitempty"` // why the candidate alone first denied it
	Run           string          `json:"run,omitempty"`       // that it broke then
	Tool          string          `json:"tool,omitempty"`      // that drives the change of its bill
}

// ToolRow is one tool.
type ToolRow struct {
	Tool            string          `json:"tool"`
	Calls           int             `json:"calls"`
	Live            pricing.Credits `json:"live"`
	Candidate       pricing.Credits `json:"candidate"`
	PerSuccessLive  *float64        `json:"pricePerSuccessLive"`
	PricePerSuccess *float64        `json:"pricePerSuccess"` // candidate
	Cost            pricing.Credits `json:"cost"`            // upstream's as reported, of calls that the candidate admits
	MarginLive      pricing.Credits `json:"marginLive"`
	Margin          pricing.Credits `json:"margin"`
}

// Runs is what became of pieces of work.
type Runs struct {
	Runs            int             `json:"runs"`
	BrokenLive      float64         `json:"brokenLive"` // share
	Broken          float64         `json:"broken"`     // share
	Stranded        pricing.Credits `json:"stranded"`   // spent in runs that then broke, under the candidate
	StrandedShare   float64         `json:"strandedShare"`
	CostP50Live     float64         `json:"costP50Live"` // of unbroken runs
	CostP90Live     float64         `json:"costP90Live"`
	CostP99Live     float64         `json:"costP99Live"`
	CostP50         float64         `json:"costP50"`
	CostP90         float64         `json:"costP90"`
	CostP99         float64         `json:"costP99"`
	Predictability  *float64        `json:"predictability"` // p95 / p50
	StrandedLive    pricing.Credits `json:"strandedLive"`
	UnbrokenRunsNow int             `json:"unbroken"`
}

// Survival is when keys were first denied by the candidate, as Kaplan and Meier
// estimate it: keys that were not, left at the end of the window.
type Survival struct {
	MedianHours *float64    `json:"medianHours"` // null: less than half were stopped
	Day1        float64     `json:"stoppedByDay1"`
	Day7        float64     `json:"stoppedByDay7"`
	Day30       float64     `json:"stoppedByDay30"`
	Curve       []CurveStep `json:"curve"`
}

// CurveStep is the share of keys not denied by a time after their first call.
type CurveStep struct {
	Hours float64 `json:"hours"`
	Share float64 `json:"share"`
}

// Bills is how keys' bills change.
type Bills struct {
	Winners   int     `json:"winners"`
	Losers    int     `json:"losers"`
	Shocked   int     `json:"shocked"`    // up by more than half and more than the floor
	Shock     float64 `json:"shock"`      // share of keys
	ShockPaid float64 `json:"shockPaid"`  // share of what the candidate collects that they pay
	Steepest  float64 `json:"steepest"`   // largest rise as a share of the bill
	EffLive   float64 `json:"payersLive"` // effective number of payers
	Eff       float64 `json:"payers"`     // effective number of payers
	GiniLive  float64 `json:"giniLive"`
	Gini      float64 `json:"gini"` // of the candidate
	TopLive   float64 `json:"topTenthLive"`
	TopTenth  float64 `json:"topTenth"`    // share of the dearest tenth of keys
	KeysTotal int     `json:"keysCounted"` // keys that called
}

// NoTrial is what is said where no key has paid the candidate's prices yet.
const NoTrial = "Nobody has paid these prices yet, so nobody knows how callers react to them. Let some keys pay: paygate shadow promote NAME --canary 10%. Then this part compares them with the keys that pay as before."

func assumptions() []string {
	return []string{
		"The same calls are made at the same moments, whatever they cost; a call that is denied is simply not made.",
		"Wallets begin at the balances of the candidate's start, and are topped up as they were.",
		"A run that its agent gives no name ends with a pause of 15 minutes.",
		"A call that the live prices refused and the candidate admits would have succeeded, at its quote; it is kept out of the sums.",
		"An interval supposes that the next callers are like these: payers are drawn again from those that called, never single calls.",
	}
}

func cannotKnow() []string {
	return []string{
		"How callers react to a price: every figure is about the same calls at other prices. Only a canary can tell: paygate shadow promote NAME --canary 10%, then paygate shadow experiment NAME.",
		"What happens at a price that nobody has paid. Prices are posted, not drawn by chance, so past calls cannot be weighed as if they had been made at another one (off-policy evaluation is refused).",
		"Calls that were never made because an earlier one was refused.",
		"Arguments and results: only what was declared as a fact can be priced.",
	}
}

// Source is what the figures of a report are made of.
type Source struct {
	*tally.Tally
	Name     func(key string) string
	Dollar   pricing.Credits               // what counts as nothing of a bill
	Balances [2]map[string]pricing.Credits // of keys at the end: live, candidate
	Clipped  pricing.Credits               // see Exact
	Given    pricing.Credits               // by the candidate's plans
	Expired  pricing.Credits               // of what they gave
	WhatIf   *whatif.Guess                 // nil: none
}

// Fill makes all figures of a report whose head is there.
func (r *Report) Fill(from Source) {
	t := counted{from.Tally}
	r.Attempts, r.Coverage, r.Grade = t.Attempts, t.Coverage(), t.grade()
	r.Exact = t.figures(from.Name, from.Dollar)
	r.Exact.Clipped = from.Clipped
	r.Exact.Wallets = t.wallets(from.Balances)
	r.Exact.Wallets.Given, r.Exact.Wallets.Expired = from.Given, from.Expired
	r.Projected = t.project()
	r.Projected.Runway = t.runway(from.Name, from.Balances[1])
	r.Assumptions, r.Limits = assumptions(), cannotKnow()
	if r.WhatIf = from.WhatIf; r.WhatIf != nil {
		r.Projected.Growth = t.grow(r.WhatIf.Growth)
	}
	r.Guardrails = guardrails(r)
}

// Dollar is what counts as nothing of a bill: one of the sheet's currency.
func Dollar(sheet *pricing.Sheet) pricing.Credits {
	if usd := sheet.Spec().CreditUSD; usd > 0 {
		return pricing.Credits((pricing.One + usd - 1) / usd)
	}
	return 1
}

// counted is a tally as a report reads it.
type counted struct{ *tally.Tally }

// grade says how much the live prices have censored what was asked for.
func (t counted) grade() string {
	switch {
	case t.Attempts == 0:
		return "C"
	case t.Observed == t.Attempts:
		return "A"
	case float64(t.Sides[0].Denied) < .02*float64(t.Attempts):
		return "B"
	}
	return "C"
}

// figures makes the exact part. name tells a key's name.
func (t counted) figures(name func(string) string, dollar pricing.Credits) Exact {
	live, cand := t.Sides[0], t.Sides[1]
	e := Exact{Live: column(live), Candidate: column(cand), Sheets: t.sheetRows(), DeniedBy: t.DeniedBy, Imputed: Imputed{t.ImputedCalls, t.Imputed}}
	e.Change = Change{Rate: t.Rate, AccessWon: t.Won, AccessLost: -t.Lost, Refunds: live.Refunds - cand.Refunds, Total: cand.Collectable() - live.Collectable()}
	e.Newly = Newly{Attempts: t.Newly, ByReason: t.NewlyBy, SoleCause: t.Sole}
	e.Lift = ratio(float64(e.Change.Total), float64(live.Collectable()))
	e.QuoteError = ratio(float64(cand.Held-cand.Quoted), float64(cand.Quoted))
	for _, id := range slices.Sorted(maps.Keys(t.Keys)) {
		k := t.Keys[id]
		if k.Newly > 0 {
			e.Newly.Keys++
		}
		e.Keys = append(e.Keys, KeyRow{ID: id, Name: name(id), Live: k.Paid[0], Candidate: k.Paid[1], Admitted: k.Admitted, Denied: k.Denied,
			FirstDeniedAt: k.FirstDenied, NewlyDenied: k.Newly, StoppedBy: k.Reason, Run: k.Run, Tool: driver(k.Tools)})
	}
	if e.Keys == nil {
		e.Keys = []KeyRow{}
	}
	e.Tools = t.toolRows()
	e.Runs = t.runFigures()
	e.Survival = t.survival(func(k *tally.Key) *time.Time { return k.FirstDenied })
	e.LiveLife = t.survival(func(k *tally.Key) *time.Time { return k.FirstDeniedLive })
	e.Bills = t.bills(dollar)
	e.Waterfall, e.Leakage, e.Timeline = e.waterfall(), t.leakage(), t.timeline(name)
	e.Winners, e.Losers = e.extremes()
	return e
}

func column(s tally.Side) Column {
	c := Column{Potential: s.Potential, Collectable: s.Collectable(), Admitted: s.Admitted, Denied: s.Denied}
	if r := ratio(float64(s.Collectable()), float64(s.Potential)); r != nil {
		leak := 1 - *r
		c.Leakage = &leak
	}
	return c
}

// ratio is a / b, or nil.
func ratio(a, b float64) *float64 {
	if b == 0 {
		return nil
	}
	r := a / b
	return &r
}

// driver is the tool that changes a bill most.
func driver(by []tally.ToolChange) string {
	best := tally.ToolChange{}
	for _, c := range by {
		if more := abs(c.Credits) - abs(best.Credits); best.Tool == "" || more > 0 || more == 0 && c.Tool < best.Tool {
			best = c
		}
	}
	return best.Tool
}

func abs(n pricing.Credits) pricing.Credits { return max(n, -n) }

func (t counted) toolRows() []ToolRow {
	out := []ToolRow{}
	for _, name := range slices.Sorted(maps.Keys(t.Tools)) {
		tool := t.Tools[name]
		out = append(out, ToolRow{Tool: name, Calls: tool.Calls, Live: tool.Paid[0], Candidate: tool.Paid[1], Cost: tool.Cost[1],
			PerSuccessLive:  ratio(float64(tool.Potential[0]), float64(tool.Succeeded)),
			PricePerSuccess: ratio(float64(tool.Potential[1]), float64(tool.Succeeded)), MarginLive: tool.Paid[0] - tool.Cost[0], Margin: tool.Paid[1] - tool.Cost[1]})
	}
	slices.SortStableFunc(out, func(a, b ToolRow) int { return cmp.Compare(b.Candidate, a.Candidate) })
	return out
}
