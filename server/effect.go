package server

import (
	"context"
	"slices"
	"time"

	"paygate/server/api"
	"paygate/shadow"
	"paygate/store/sheets"
)

// effect lives through the last hour again under changed prices.
func (s *Server) effect(ctx context.Context, in api.PriceUpdate) (api.Effect, error) {
	_, to, err := s.staged(in)
	if err != nil {
		return api.Effect{}, err
	}
	if err := s.book.Flush(ctx); err != nil {
		return api.Effect{}, err
	}
	now := s.opts.Now().UTC()
	e, err := shadow.EffectOf(ctx, s.book.DB(), sheets.Of(s.book.DB()), to, now.Add(-time.Hour), now)
	if err != nil {
		return api.Effect{}, err
	}
	out := api.Effect{From: e.From, To: e.To, Calls: e.Calls, Keys: len(e.Keys), Now: int64(e.Now), Staged: int64(e.Staged), Denied: e.Denied,
		Stopped: []api.EffectKey{}, Bills: []api.EffectKey{}}
	for _, k := range e.Keys {
		row := api.EffectKey{ID: k.Key, Name: s.keys.Name(k.Key), At: k.Stopped, Now: int64(k.Now), Staged: int64(k.Staged)}
		if k.Stopped != nil {
			out.Stopped = append(out.Stopped, row)
		}
		if k.Now != k.Staged {
			out.Bills = append(out.Bills, row)
		}
	}
	slices.SortFunc(out.Stopped, func(a, b api.EffectKey) int { return a.At.Compare(*b.At) })
	slices.SortFunc(out.Bills, func(a, b api.EffectKey) int { return int((b.Staged - b.Now) - (a.Staged - a.Now)) })
	out.Bills = out.Bills[:min(len(out.Bills), 20)]
	return out, nil
}
