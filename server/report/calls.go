package report

import (
	"context"
	"fmt"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/server/api/filter"
	"paygate/store/journal"
)

type callsIn struct {
	Filter string     `query:"filter"`
	Before api.Number `query:"before"`
	Limit  api.Number `query:"limit"`
}

func (p *Reports) calls(ctx context.Context, in callsIn) (api.CallPage, error) {
	out := api.CallPage{Calls: []api.CallRow{}}
	keep, err := filter.Parse(in.Filter)
	if err != nil {
		return out, api.BadRequest("filter: %v", err)
	}
	limit, now, read := int(in.Limit.Or(100, 1, 1000)), p.opts.Now(), 0
	err = p.opts.Rollup.events(ctx, 0, below(in.Before), func(e *journal.Event) bool {
		if read, out.Before = read+1, e.Seq; e.Call == nil {
			return read < mostRead
		}
		if row := p.Row(e); keep.Match(&row, now) {
			out.Calls = append(out.Calls, row)
		}
		return len(out.Calls) < limit && read < mostRead
	})
	if len(out.Calls) < limit && read < mostRead { // nothing is left
		out.Before = 0
	}
	return out, err
}

// mostRead bounds how many events one page reads; its Before says where to go
// on.
const mostRead = 200_000

// below is the last number that a page may show; 0: the newest.
func below(before api.Number) uint64 { return uint64(max(0, before.Or(0, 0, 1<<62)-1)) }

// callDetail is one call in full: what it was charged and why. Its id is a path
// element, and seq, when known, saves looking for it.
func (p *Reports) callDetail(ctx context.Context, in callIn) (api.CallDetail, error) {
	var found *journal.Event
	err := p.scanCalls(ctx, uint64(in.Seq.Or(0, 0, 1<<62)), func(e *journal.Event) bool {
		if e.Call.ID == in.ID {
			found = e
		}
		return found == nil
	})
	if err != nil {
		return api.CallDetail{}, err
	}
	if found == nil {
		return api.CallDetail{}, api.NotFound("There is no call %s, or it is too long ago to be found by its id", in.ID)
	}
	c := found.Call
	d := api.CallDetail{CallRow: p.Row(found), Sheet: c.Sheet, Held: int64(c.Quote), Charged: int64(c.Charged), Shortfall: int64(c.Shortfall), Lines: []api.Line{}, Way: []api.Step{}}
	if err := p.chargeLines(c, &d); err != nil {
		return d, err
	}
	p.Inspector.fill(c.ID, &d)
	if len(d.Way) == 0 { // what the journal knows
		for _, reason := range c.Findings {
			mark := "deny"
			if c.Observed {
				mark = "would"
			}
			d.Way = append(d.Way, api.Step{Name: Identifier(reason), Mark: mark, Text: reason})
		}
		if c.Error != "" {
			d.Way = append(d.Way, api.Step{Name: "upstream", Mark: "fail", Text: c.Error})
		}
	}
	return d, nil
}

type callIn struct {
	ID  string     `query:":id"`
	Seq api.Number `query:"seq"`
}

// chargeLines says how the charge came about, by the sheet of then.
func (p *Reports) chargeLines(c *journal.Call, d *api.CallDetail) error {
	if c.AdmitSeq == 0 {
		return nil
	}
	sheet, err := p.opts.Sheet(c.Sheet)
	if err != nil {
		return fmt.Errorf("call %s: %w", c.ID, err)
	}
	var none pricing.Usage
	facts := c.Call
	charge, _ := pricing.Rate(&facts, sheet, &none)
	price := sheet.Tool(c.Tool)
	line := func(what, how string, amount pricing.Credits) {
		if amount != 0 {
			d.Lines = append(d.Lines, api.Line{What: what, How: how, Amount: int64(amount)})
		}
	}
	kb := func(bytes int64) int64 { return (bytes + 1023) / 1024 }
	line("per call", c.Tool, charge.Call)
	line("input", fmt.Sprintf("%d B = %d KB x %d", c.In, kb(c.In), price.PerKBIn), charge.Input)
	line("output", fmt.Sprintf("%d B = %d KB x %d", c.Out, kb(c.Out), price.PerKBOut), charge.Output)
	d.Due = int64(charge.Due)
	if len(d.Lines) == 0 {
		why := "the tool is free"
		switch {
		case c.Outcome == pricing.Lost:
			why = "no answer came, so nothing is charged"
		case c.Outcome == pricing.Failed:
			why = "failed calls are not charged"
		}
		d.Lines = append(d.Lines, api.Line{What: "nothing", How: why})
	}
	return nil
}

// Row is a call in a list.
func (p *Reports) Row(e *journal.Event) api.CallRow {
	c := e.Call
	r := api.CallRow{ID: c.ID, Seq: e.Seq, At: c.At, KeyID: c.Key, Key: "–", Tool: c.Tool, Server: c.Server, Plan: c.Plan, Tags: c.Tags, IP: c.IP,
		Outcome: c.Outcome.String(), Would: c.Observed, Credits: Due(c), TookMs: Millis(c.Took), GateMs: Millis(c.Gate), In: c.In, Out: c.Out, Cached: c.Cached, Repeated: c.Repeated}
	if c.Key != "" {
		r.Key = p.opts.Keys.Name(c.Key)
	}
	switch {
	case len(c.Findings) > 0:
		r.Reason = Identifier(c.Findings[0])
	case c.Outcome == pricing.Failed || c.Outcome == pricing.Lost:
		r.Reason = c.Class
	}
	return r
}

// Millis is a duration as the API says it.
func Millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
