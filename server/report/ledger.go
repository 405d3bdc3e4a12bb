package report

import (
	"cmp"
	"context"
	"strings"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store/journal"
)

type ledgerIn struct {
	Before api.Number `query:"before"`
	Limit  api.Number `query:"limit"`
	Key    string     `query:"key"`
	Kind   string     `query:"kind"`
}

// ledger lists entries, charges of calls among them, newest first.
func (p *Reports) ledger(ctx context.Context, in ledgerIn) (api.LedgerPage, error) {
	out := api.LedgerPage{Entries: []api.LedgerRow{}, Proof: p.opts.Proof()}
	id := ""
	if in.Key != "" {
		var ok bool
		if id, ok = p.opts.Keys.Resolve(in.Key); !ok {
			return out, api.NotFound("Key not found")
		}
	}
	limit, read := int(in.Limit.Or(100, 1, 1000)), 0
	take := func(e *journal.Event) bool {
		read, out.Before = read+1, e.Seq
		for _, row := range p.entries(e) {
			if (in.Kind == "" || row.Kind == in.Kind) && (id == "" || strings.HasSuffix(row.From, ":"+id) || strings.HasSuffix(row.To, ":"+id)) {
				out.Entries = append(out.Entries, row)
			}
		}
		return len(out.Entries) < limit && read < mostRead
	}
	var err error
	if id == "" {
		err = p.opts.Rollup.events(ctx, 0, below(in.Before), take)
	} else {
		last := below(in.Before)
		if last == 0 {
			last = p.opts.Book.Journal().Last()
		}
		err = p.ofKey(ctx, id, 0, last, take)
	}
	if len(out.Entries) < limit && read < mostRead { // nothing is left
		out.Before = 0
	}
	return out, err
}

// entries are the entries of an event, newest first.
func (p *Reports) entries(e *journal.Event) []api.LedgerRow {
	name := func(a journal.Account) string {
		if id := a.Key(); id != "" {
			return p.opts.Keys.Name(id)
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
