package server

import (
	"context"
	"errors"
	"maps"
	"slices"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store/ledger"
	"paygate/store/sheets"
)

// getPrices is the live sheet as a table over the tools that are known: those
// that a server offers, and those that have a price.
func (s *Server) getPrices(ctx context.Context, _ api.None) (api.Prices, error) {
	w := s.world.Load()
	def := w.Way.Sheet.Default()
	known := map[string]bool{}
	for _, name := range s.toolNames(ctx) {
		known[name] = true
	}
	all := maps.Clone(known)
	for name := range w.Config.Tools {
		all[name] = true
	}
	for _, name := range w.Way.Sheet.Tools() {
		all[name] = true
	}
	out := api.Prices{Sheet: w.Way.Sheet.Hash(), Default: int64(def.PerCall), Tools: []api.PriceRow{}, Source: "file"}
	if w.Config.Sheet().Hash() != out.Sheet {
		out.Source = "prices"
	}
	use := s.follower.LastHour()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		p := w.Way.Sheet.Tool(name)
		u := use[name]
		out.Tools = append(out.Tools, api.PriceRow{Tool: name, Known: known[name], Own: slices.Contains(w.Way.Sheet.Tools(), name), PerCall: int64(p.PerCall), PerKBIn: int64(p.PerKBIn),
			PerKBOut: int64(p.PerKBOut), RateLimitPerMin: w.Config.Tools[name].RateLimit, CallsPerHour: float64(u.Calls), CreditsPerHour: float64(u.Credits)})
	}
	return out, nil
}

// staged is the live sheet with changes, and the sheet it was made of.
func (s *Server) staged(in api.PriceUpdate) (from, to *pricing.Sheet, err error) {
	from = s.world.Load().Way.Sheet
	if in.Base != "" && in.Base != from.Hash() {
		return nil, nil, api.Conflict("Other prices went live since this change was made; read them again").With("sheet", from.Hash())
	}
	if !from.Flat() {
		return nil, nil, api.Conflict("The live prices are a sheet with rules, which cannot be changed tool by tool; change its file and promote that")
	}
	if len(in.Changes) == 0 {
		return nil, nil, api.BadRequest("changes must name at least one tool and its new price")
	}
	def, tools := from.Default(), map[string]pricing.ToolPrice{}
	for _, name := range from.Tools() {
		tools[name] = from.Tool(name)
	}
	for i, c := range in.Changes {
		p, ok := tools[c.Tool]
		if !ok {
			p = def
		}
		for _, part := range []struct {
			set *int64
			to  *pricing.Credits
		}{{c.PerCall, &p.PerCall}, {c.PerKBIn, &p.PerKBIn}, {c.PerKBOut, &p.PerKBOut}} {
			if part.set == nil {
				continue
			}
			if *part.set < 0 || *part.set > int64(pricing.MaxCredits) {
				return nil, nil, api.BadRequest("changes[%d]: a price is a whole number from 0 to %d", i, pricing.MaxCredits)
			}
			*part.to = pricing.Credits(*part.set)
		}
		switch c.Tool {
		case "":
			return nil, nil, api.BadRequest(`changes[%d]: tool is missing; "*" is the default price`, i)
		case "*":
			def = p
		default:
			tools[c.Tool] = p
		}
	}
	return from, pricing.FromTools(def, tools, from.RefundsFailures()), nil
}

// postPrices makes a changed sheet live. It holds until the prices in the
// configuration change.
func (s *Server) postPrices(ctx context.Context, in api.PriceUpdate) (api.Prices, error) {
	from, to, err := s.staged(in)
	if err != nil {
		return api.Prices{}, err
	}
	err = s.book.Apply(ctx, func(tx *ledger.Tx) error {
		if err := sheets.Put(tx, to, "prices", tx.Now()); err != nil {
			return err
		}
		if err := sheets.Promote(tx, from.Hash(), to.Hash(), tx.Now()); err != nil {
			return err
		}
		return tx.Append(eventOf(ctx, "prices.changed", map[string]any{"from": from.Hash(), "sheet": to.Hash(), "source": "prices", "changes": in.Changes}))
	})
	if errors.Is(err, sheets.ErrMoved) {
		return api.Prices{}, api.Conflict("Other prices went live since this change was made; read them again")
	}
	if err != nil {
		return api.Prices{}, err
	}
	if err := s.Compile(ctx); err != nil {
		return api.Prices{}, err
	}
	return s.getPrices(ctx, api.None{})
}
