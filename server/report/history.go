package report

import (
	"context"
	"math"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/server/keys"
	"paygate/store/journal"
)

// movement is one change of a key's balance.
type movement struct {
	Type   string    `json:"type"`
	Amount int64     `json:"amount"` // always positive; Type says which way
	Before int64     `json:"balanceBefore"`
	After  int64     `json:"balanceAfter"`
	At     time.Time `json:"timestamp"`
	Memo   string    `json:"memo,omitempty"`
	Ref    string    `json:"ref,omitempty"` // the call
	Tool   string    `json:"tool,omitempty"`

	key    string
	change int64
}

// movementsOf is what an event did to keys' balances, the last first.
func movementsOf(e *journal.Event) []movement {
	if c := e.Call; c != nil {
		payer := journal.Account(c.Payer).Key()
		if c.Charged == 0 || payer == "" {
			return nil
		}
		return []movement{{Type: "charge", Amount: int64(c.Charged), At: e.At, Ref: c.ID, Tool: c.Tool, key: payer, change: -int64(c.Charged)}}
	}
	var out []movement
	for i := len(e.Posts) - 1; i >= 0; i-- {
		p := e.Posts[i]
		one := func(a journal.Account, kind string, change pricing.Credits) {
			if a.Key() != "" {
				out = append(out, movement{Type: kind, Amount: int64(p.Amount), At: e.At, Memo: p.Ref, key: a.Key(), change: int64(change)})
			}
		}
		to, from := p.Kind, p.Kind
		if p.Kind == "transfer" {
			to, from = "transfer_in", "transfer_out"
		}
		one(p.To, to, p.Amount)
		one(p.From, from, -p.Amount)
	}
	return out
}

type historyIn struct {
	Key   string     `query:"key"`
	Type  string     `query:"type"`
	Since string     `query:"since"`
	Limit api.Number `query:"limit"`
}

type historyOut struct {
	Key     string     `json:"key"`
	Name    string     `json:"name"`
	Balance int64      `json:"currentBalance"`
	Entries []movement `json:"entries"`
	Total   int        `json:"totalEntries"` // of every type, of all that is kept
	Oldest  *time.Time `json:"oldestData"`
}

// creditHistory is how a key's balance came about.
func (p *Reports) creditHistory(ctx context.Context, in historyIn) (historyOut, error) {
	k, err := p.opts.Keys.Named(in.Key)
	if err != nil {
		return historyOut{}, err
	}
	h, err := p.movements(ctx, k, in)
	if err != nil {
		return historyOut{}, err
	}
	return historyOut{Key: k.Label(), Name: k.Name, Balance: h.balance, Entries: h.entries, Total: h.total, Oldest: p.oldest()}, nil
}

// history is what is found of a key's movements.
type history struct {
	balance int64
	entries []movement
	total   int
}

// movements goes back from the balance of now through everything that has
// changed it, charges included.
func (p *Reports) movements(ctx context.Context, k *keys.Key, in historyIn) (history, error) {
	since, err := api.ParseDate(in.Since)
	if in.Since != "" && err != nil {
		return history{}, api.BadRequest("since must be a date such as 2026-03-01T12:00:00Z")
	}
	balance, last, err := p.balanceAt(ctx, k.ID)
	if err != nil {
		return history{}, err
	}
	limit, h := int(in.Limit.Or(50, 1, 200)), history{balance: balance, entries: []movement{}}
	err = p.opts.Rollup.segments(ctx, window{}, func(s *segment) error {
		if s.First > last { // it has happened since the balance was read
			return nil
		}
		n, net, wanted := 0, int64(0), false
		for at, m := range s.Moves {
			if at.Key == k.ID {
				n, net = n+m.N, net+m.Net
				wanted = wanted || in.Type == "" || at.Type == in.Type
			}
		}
		skip := len(h.entries) == limit || !wanted || s.To.Before(since)
		if n == 0 || skip && s.Last <= last {
			h.total, balance = h.total+n, balance-net
			return nil
		}
		return p.ofKey(ctx, k.ID, s.First, min(s.Last, last), func(e *journal.Event) bool {
			for _, m := range movementsOf(e) {
				if m.key != k.ID {
					continue
				}
				m.After, m.Before = balance, balance-m.change
				balance = m.Before
				h.total++
				if (in.Type == "" || m.Type == in.Type) && !m.At.Before(since) && len(h.entries) < limit {
					h.entries = append(h.entries, m)
				}
			}
			return true
		})
	})
	return h, err
}

// balanceAt reads a key's balance and the number of the last event that is in
// it, while calls go on.
func (p *Reports) balanceAt(ctx context.Context, id string) (balance int64, last uint64, err error) {
	j := p.opts.Book.Journal()
	for {
		if err := p.opts.Book.Flush(ctx); err != nil {
			return 0, 0, err
		}
		last = j.Last()
		balance = int64(p.opts.Book.Key(id).Credits)
		if err := p.opts.Book.Flush(ctx); err != nil { // all that is in the balance is on disk now
			return 0, 0, err
		}
		still := true
		err := p.opts.Rollup.events(ctx, last+1, 0, func(e *journal.Event) bool {
			for _, m := range movementsOf(e) {
				still = still && m.key != id
			}
			return still
		})
		if err != nil || still {
			return balance, last, err
		}
	}
}

// ofKey gives a key's events from first to last, newest first, until fn
// returns false.
func (p *Reports) ofKey(ctx context.Context, id string, first, last uint64, fn func(*journal.Event) bool) error {
	const page = 500
	for before := last + 1; ; {
		events, err := p.opts.Book.Journal().OfKey(id, before, page)
		if err != nil {
			return err
		}
		for _, e := range events {
			if e.Seq < first || !fn(e) {
				return nil
			}
			before = e.Seq
		}
		if len(events) < page {
			return ctx.Err()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

type ownHistoryOut struct {
	Key      string     `json:"key"`
	Entries  []movement `json:"entries"`
	Total    int        `json:"total"`
	Velocity velocity   `json:"velocity"`
}

// velocity is how fast a key spends, over the last day.
type velocity struct {
	CreditsPerHour float64    `json:"creditsPerHour"`
	CreditsPerDay  float64    `json:"creditsPerDay"`
	CallsPerHour   float64    `json:"callsPerHour"`
	CallsPerDay    float64    `json:"callsPerDay"`
	HoursLeft      *float64   `json:"estimatedHoursRemaining"`
	EmptyAt        *time.Time `json:"estimatedDepletionDate"`
	Points         int        `json:"dataPoints"`
	WindowHours    int        `json:"windowHours"`
}

// ownHistory is how the caller's own balance came about.
func (p *Reports) ownHistory(ctx context.Context, in historyIn) (ownHistoryOut, error) {
	k := p.opts.Keys.Get(api.ActorOf(ctx).Key)
	if k == nil {
		return ownHistoryOut{}, api.NotFound("Invalid or inactive API key")
	}
	h, err := p.movements(ctx, k, in)
	if err != nil {
		return ownHistoryOut{}, err
	}
	v, err := p.velocity(ctx, k.ID)
	return ownHistoryOut{Key: k.Label(), Entries: h.entries, Total: h.total, Velocity: v}, err
}

func (p *Reports) velocity(ctx context.Context, id string) (velocity, error) {
	const hours = 24
	now := p.opts.Now().UTC()
	v, spent, first := velocity{WindowHours: hours}, int64(0), now.UnixMilli()
	err := p.opts.Rollup.segments(ctx, window{since: now.Add(-hours * time.Hour)}, func(s *segment) error {
		for at, u := range s.Use {
			if at.Key == id && u.Paid > 0 {
				v.Points += u.Paid
				spent += u.Credits
				first = min(first, u.FirstPaid)
			}
		}
		return nil
	})
	if err != nil || v.Points == 0 {
		return v, err
	}
	over := max(now.Sub(time.UnixMilli(first)).Hours(), 0.01)
	v.CreditsPerHour, v.CallsPerHour = round2(float64(spent)/over), round2(float64(v.Points)/over)
	v.CreditsPerDay, v.CallsPerDay = round2(hours*float64(spent)/over), round2(hours*float64(v.Points)/over)
	left := round2(float64(p.opts.Book.Key(id).Available) * over / float64(spent))
	empty := now.Add(time.Duration(min(left, 1e6) * float64(time.Hour)))
	v.HoursLeft, v.EmptyAt = &left, &empty
	return v, nil
}

func round2(f float64) float64 { return math.Floor(100*f+0.5) / 100 }
