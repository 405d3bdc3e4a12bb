package keys

import (
	"context"
	"math"
	"time"

	"paygate/pricing"
	"paygate/server/api"
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
	Ref    string    `json:"ref,omitempty"` // the call, the reservation
	Tool   string    `json:"tool,omitempty"`

	change int64
}

type historyIn struct {
	keyIn
	Type  string     `query:"type"`
	Since string     `query:"since"`
	Limit api.Number `query:"limit"`
}

type historyOut struct {
	Key     string     `json:"key"`
	Name    string     `json:"name"`
	Balance int64      `json:"currentBalance"`
	Entries []movement `json:"entries"`
	Total   int        `json:"totalEntries"`
}

// mostHistory bounds how many events are read for one answer.
const mostHistory = 20000

func (d *Directory) creditHistory(ctx context.Context, in historyIn) (historyOut, error) {
	k, err := d.named(in.Key)
	if err != nil {
		return historyOut{}, err
	}
	entries, total, err := d.movements(ctx, k, in)
	if err != nil {
		return historyOut{}, err
	}
	return historyOut{Key: k.shown(), Name: k.Name, Balance: int64(d.opts.Book.Key(k.ID).Credits), Entries: entries, Total: total}, nil
}

// movements goes back from the balance of now through everything that has
// changed it, charges included.
func (d *Directory) movements(ctx context.Context, k *Key, in historyIn) ([]movement, int, error) {
	if err := d.opts.Book.Flush(ctx); err != nil {
		return nil, 0, err
	}
	since, err := api.ParseDate(in.Since)
	if in.Since != "" && err != nil {
		return nil, 0, api.BadRequest("since must be a date such as 2026-03-01T12:00:00Z")
	}
	balance, limit := int64(d.opts.Book.Key(k.ID).Credits), int(in.Limit.Or(50, 1, 200))
	out, total, before := []movement{}, 0, uint64(0)
	for read := 0; read < mostHistory; {
		events, err := d.opts.Book.Journal().OfKey(k.ID, before, 500)
		if err != nil {
			return nil, 0, err
		}
		if len(events) == 0 {
			break
		}
		for _, e := range events {
			for _, m := range movementsOf(e, k) {
				m.After, m.Before = balance, balance-m.change
				balance = m.Before
				total++
				if (in.Type == "" || m.Type == in.Type) && !m.At.Before(since) && len(out) < limit {
					out = append(out, m)
				}
			}
		}
		read += len(events)
		before = events[len(events)-1].Seq
	}
	return out, total, nil
}

// movementsOf is what an event did to a key's balance, the last first.
func movementsOf(e *journal.Event, k *Key) []movement {
	if c := e.Call; c != nil {
		if c.Charged == 0 || c.Payer != string(k.account()) {
			return nil
		}
		return []movement{{Type: "charge", Amount: int64(c.Charged), At: e.At, Ref: c.ID, Tool: c.Tool, change: -int64(c.Charged)}}
	}
	var out []movement
	for i := len(e.Posts) - 1; i >= 0; i-- {
		p := e.Posts[i]
		m := movement{Type: p.Kind, Amount: int64(p.Amount), At: e.At, Memo: p.Ref}
		switch {
		case p.To == k.account():
			m.change = int64(p.Amount)
			if p.Kind == "transfer" {
				m.Type = "transfer_in"
			}
		case p.From == k.account():
			m.change = -int64(p.Amount)
			if p.Kind == "transfer" {
				m.Type = "transfer_out"
			}
		default:
			continue
		}
		out = append(out, m)
	}
	return out
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

func (d *Directory) ownHistory(ctx context.Context, in historyIn) (ownHistoryOut, error) {
	k := d.Get(api.ActorOf(ctx).Key)
	if k == nil {
		return ownHistoryOut{}, api.NotFound("Invalid or inactive API key")
	}
	entries, total, err := d.movements(ctx, k, in)
	if err != nil {
		return ownHistoryOut{}, err
	}
	v, err := d.velocity(k)
	return ownHistoryOut{Key: k.shown(), Entries: entries, Total: total, Velocity: v}, err
}

func (d *Directory) velocity(k *Key) (velocity, error) {
	const window = 24
	v, now := velocity{WindowHours: window}, d.opts.Now().UTC()
	from, spent, oldest := now.Add(-window*time.Hour), pricing.Credits(0), now
	for before := uint64(0); v.Points < mostHistory; {
		events, err := d.opts.Book.Journal().OfKey(k.ID, before, 500)
		if err != nil {
			return v, err
		}
		for _, e := range events {
			if e.At.Before(from) {
				events = nil
				break
			}
			if c := e.Call; c != nil && c.Charged > 0 {
				spent += c.Charged
				v.Points++
				oldest = e.At
			}
			before = e.Seq
		}
		if len(events) == 0 {
			break
		}
	}
	if v.Points == 0 {
		return v, nil
	}
	hours := max(now.Sub(oldest).Hours(), 0.01)
	v.CreditsPerHour, v.CallsPerHour = round2(float64(spent)/hours), round2(float64(v.Points)/hours)
	v.CreditsPerDay, v.CallsPerDay = round2(24*float64(spent)/hours), round2(24*float64(v.Points)/hours)
	left := round2(float64(d.opts.Book.Key(k.ID).Available) * hours / float64(spent))
	empty := now.Add(time.Duration(min(left, 1e6) * float64(time.Hour)))
	v.HoursLeft, v.EmptyAt = &left, &empty
	return v, nil
}

func round2(f float64) float64 { return math.Floor(100*f+0.5) / 100 }
