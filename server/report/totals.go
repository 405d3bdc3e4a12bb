package report

import (
	"context"
	"time"
)

// Use is what calls add up to.
type Use struct {
	Calls   int   `json:"calls"` // that were let through
	Credits int64 `json:"credits"`
	Denied  int   `json:"denied"`
}

func (u *Use) add(o *use) {
	u.Calls += o.Allowed
	u.Denied += o.Denied
	u.Credits += o.Credits
}

// Totals are the use of all keys, or those of a namespace.
type Totals struct {
	Use
	Events  int // calls of all namespaces
	PerTool map[string]*Use
	PerKey  map[string]*Use // by the key's name
	Reasons map[string]int
	Oldest  *time.Time // where what is kept begins
}

// Totals sums up the calls of a namespace; empty: of all.
func (p *Reports) Totals(ctx context.Context, namespace string) (*Totals, error) {
	if err := p.opts.Book.Flush(ctx); err != nil {
		return nil, err
	}
	t := &Totals{PerTool: map[string]*Use{}, PerKey: map[string]*Use{}, Reasons: map[string]int{}, Oldest: p.oldest()}
	err := p.opts.Rollup.segments(ctx, window{}, func(s *segment) error {
		for at, u := range s.Use {
			t.Events += u.Allowed + u.Denied
			k := p.opts.Keys.Get(at.Key)
			if namespace != "" && (k == nil || k.Namespace != namespace) {
				continue
			}
			name := "none"
			if k != nil {
				name = k.Name
			}
			t.add(u)
			entry(t.PerTool, at.Tool).add(u)
			entry(t.PerKey, name).add(u)
			for reason, n := range u.Reasons {
				t.Reasons[reason] += n
			}
		}
		return nil
	})
	return t, err
}

// Counts are how many events are kept, and how many of them are calls.
func (p *Reports) Counts(ctx context.Context) (events, calls int, err error) {
	err = p.opts.Rollup.segments(ctx, window{}, func(s *segment) error {
		events += s.Events
		for _, u := range s.Use {
			calls += u.Allowed + u.Denied
		}
		return nil
	})
	return events, calls, err
}

// oldest is where what is kept begins; nil while nothing is there.
func (p *Reports) oldest() *time.Time {
	t := p.opts.Rollup.Oldest()
	if t.IsZero() {
		return nil
	}
	return &t
}
