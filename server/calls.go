package server

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
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

func (s *Server) calls(ctx context.Context, in callsIn) (api.CallPage, error) {
	out := api.CallPage{Calls: []api.CallRow{}}
	keep, err := filter.Parse(in.Filter)
	if err != nil {
		return out, api.BadRequest("filter: %v", err)
	}
	limit, now := int(in.Limit.Or(100, 1, 1000)), s.opts.Now()
	err = s.scanCalls(ctx, uint64(in.Before.Or(0, 0, 1<<62)), func(e *journal.Event) bool {
		if row := s.callRow(e); keep.Match(&row, now) {
			out.Calls = append(out.Calls, row)
		}
		out.Before = e.Seq
		return len(out.Calls) < limit
	})
	if len(out.Calls) < limit {
		out.Before = 0
	}
	return out, err
}

// callDetail is one call in full: what it was charged and why. Its id is a path
// element, and seq, when known, saves looking for it.
func (s *Server) callDetail(ctx context.Context, in callIn) (api.CallDetail, error) {
	var found *journal.Event
	err := s.scanCalls(ctx, uint64(in.Seq.Or(0, 0, 1<<62)), func(e *journal.Event) bool {
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
	d := api.CallDetail{CallRow: s.callRow(found), Sheet: c.Sheet, Held: int64(c.Quote), Charged: int64(c.Charged), Shortfall: int64(c.Shortfall), Lines: []api.Line{}, Way: []api.Step{}}
	if err := s.chargeLines(c, &d); err != nil {
		return d, err
	}
	s.inspector.fill(c.ID, &d)
	if len(d.Way) == 0 { // what the journal knows
		for _, reason := range c.Findings {
			mark := "deny"
			if c.Observed {
				mark = "would"
			}
			d.Way = append(d.Way, api.Step{Name: identifier(reason), Mark: mark, Text: reason})
		}
	}
	return d, nil
}

type callIn struct {
	ID  string     `query:":id"`
	Seq api.Number `query:"seq"`
}

// chargeLines says how the charge came about, by the sheet of then.
func (s *Server) chargeLines(c *journal.Call, d *api.CallDetail) error {
	if c.AdmitSeq == 0 {
		return nil
	}
	sheet, err := sheetOf(s.book.DB())(c.Sheet)
	if err != nil {
		return fmt.Errorf("call %s: %w", c.ID, err)
	}
	var none pricing.Usage
	facts := c.Call
	charge, _ := pricing.Rate(&facts, sheet, &none)
	p := sheet.Tool(c.Tool)
	line := func(what, how string, amount pricing.Credits) {
		if amount != 0 {
			d.Lines = append(d.Lines, api.Line{What: what, How: how, Amount: int64(amount)})
		}
	}
	kb := func(bytes int64) int64 { return (bytes + 1023) / 1024 }
	line("per call", c.Tool, charge.Call)
	line("input", fmt.Sprintf("%d B = %d KB x %d", c.In, kb(c.In), p.PerKBIn), charge.Input)
	line("output", fmt.Sprintf("%d B = %d KB x %d", c.Out, kb(c.Out), p.PerKBOut), charge.Output)
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

type ledgerIn struct {
	Before api.Number `query:"before"`
	Limit  api.Number `query:"limit"`
	Key    string     `query:"key"`
	Kind   string     `query:"kind"`
}

// ledger lists entries, charges of calls among them, newest first.
func (s *Server) ledger(ctx context.Context, in ledgerIn) (api.LedgerPage, error) {
	out := api.LedgerPage{Entries: []api.LedgerRow{}, Proof: s.proofNow()}
	id := ""
	if in.Key != "" {
		var ok bool
		if id, ok = s.keys.Resolve(in.Key); !ok {
			return out, api.NotFound("Key not found")
		}
	}
	limit, seen := int(in.Limit.Or(100, 1, 1000)), 0
	err := s.book.Journal().Scan(ctx.Done(), uint64(in.Before.Or(0, 0, 1<<62)), func(e *journal.Event) bool {
		for _, row := range s.entries(e) {
			if (in.Kind == "" || row.Kind == in.Kind) && (id == "" || strings.HasSuffix(row.From, id) || strings.HasSuffix(row.To, id)) {
				out.Entries = append(out.Entries, row)
			}
		}
		out.Before = e.Seq
		seen++
		return len(out.Entries) < limit && seen < mostScanned
	})
	if len(out.Entries) < limit {
		out.Before = 0
	}
	return out, err
}

// entries are the entries of an event, newest first.
func (s *Server) entries(e *journal.Event) []api.LedgerRow {
	name := func(a journal.Account) string {
		if id := a.Key(); id != "" {
			return s.keys.Name(id)
		}
		return ""
	}
	row := func(id, kind string, from, to journal.Account, n pricing.Credits, ref string) api.LedgerRow {
		return api.LedgerRow{N: e.Seq, ID: id, At: e.At, Kind: kind, Amount: int64(n), From: string(from), To: string(to), FromName: name(from), ToName: name(to), Ref: ref}
	}
	if c := e.Call; c != nil {
		if c.Charged == 0 {
			return nil
		}
		return []api.LedgerRow{row(c.ID, "charge", journal.Account(c.Payer), journal.Revenue, c.Charged, c.Tool)}
	}
	var out []api.LedgerRow
	for i := len(e.Posts) - 1; i >= 0; i-- {
		p := e.Posts[i]
		out = append(out, row(p.ID, p.Kind, p.From, p.To, p.Amount, cmp.Or(p.Ref, e.Actor)))
	}
	return out
}

func (s *Server) proofNow() api.Proof {
	s.proving.Lock()
	defer s.proving.Unlock()
	return s.proof
}

func (s *Server) lastProof(context.Context, api.None) (api.Proof, error) { return s.proofNow(), nil }

// verify begins a proof beside the calls; GET tells how far it is.
func (s *Server) verify(context.Context, api.None) (api.Proof, error) {
	s.proving.Lock()
	defer s.proving.Unlock()
	if s.proof.Running || s.ctx.Err() != nil {
		return s.proof, nil
	}
	s.proof.Running, s.proof.Done = true, 0
	s.loops.Go(s.prove)
	return s.proof, nil
}

func (s *Server) prove() {
	p, err := s.book.Verify(s.ctx, func(done float64) {
		s.proving.Lock()
		s.proof.Done = done
		s.proving.Unlock()
	})
	s.proving.Lock()
	defer s.proving.Unlock()
	s.proof.Running = false
	if err != nil {
		s.opts.Log.Error("the proof of the books broke off", "error", err)
		return
	}
	at := s.opts.Now().UTC()
	s.proof = api.Proof{At: &at, Done: 1, OK: p.OK(), Events: p.Events, Entries: p.Entries, Balances: p.Balances, Faults: p.Faults}
}

// logLines gives the log's last lines, or follows it.
func (s *Server) logLines(w http.ResponseWriter, r *http.Request) {
	logs := s.opts.Logs
	if logs == nil {
		logs = NewLogs()
	}
	lines, next, wake := logs.after(0)
	if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		if lines == nil {
			lines = []api.LogLine{}
		}
		s.front.json(w, r, http.StatusOK, linesOut{lines})
		return
	}
	out := s.stream(w, r)
	defer out.stop()
	for {
		for _, l := range lines {
			if !out.send("line", "", l) {
				return
			}
		}
		select {
		case <-wake:
		case <-out.ctx.Done():
			return
		}
		lines, next, wake = logs.after(next)
	}
}

type keyUseIn struct {
	Key   string     `query:"key"`
	Hours api.Number `query:"hours"`
}

// keyUse is a key's balance and use in steps of time, for a chart.
func (s *Server) keyUse(ctx context.Context, in keyUseIn) (api.KeyUse, error) {
	id, ok := s.keys.Resolve(in.Key)
	if !ok {
		return api.KeyUse{}, api.NotFound("Key not found")
	}
	hours := in.Hours.Or(168, 1, 24*90)
	const steps = 96
	step := time.Duration(hours) * time.Hour / steps
	now := s.opts.Now()
	out := api.KeyUse{StepSeconds: int(step.Seconds()), Balance: make([]float64, steps), Spent: make([]float64, steps), Calls: make([]float64, steps), Denied: make([]float64, steps)}
	if err := s.book.Flush(ctx); err != nil {
		return out, err
	}
	balance := float64(s.book.Key(id).Credits)
	filled := steps
	fill := func(until int) { // the balance was this one at the ends of the steps from until on
		for ; filled > until; filled-- {
			out.Balance[filled-1] = balance
		}
	}
	account := journal.KeyAccount(id)
	for read, before := 0, uint64(0); read < mostScanned; {
		events, err := s.book.Journal().OfKey(id, before, 1000)
		if err != nil || len(events) == 0 {
			fill(0)
			return out, err
		}
		for _, e := range events {
			i := steps - 1 - int(now.Sub(e.At)/step)
			if i < 0 {
				fill(0)
				return out, nil
			}
			fill(i)
			if c := e.Call; c != nil && i < steps {
				out.Spent[i] += float64(due(c))
				out.Calls[i]++
				if c.Outcome == pricing.Denied {
					out.Denied[i]++
				}
			}
			for _, row := range s.entries(e) {
				if row.From == string(account) {
					balance += float64(row.Amount)
				}
				if row.To == string(account) {
					balance -= float64(row.Amount)
				}
			}
		}
		read += len(events)
		before = events[len(events)-1].Seq
	}
	fill(0)
	return out, nil
}
