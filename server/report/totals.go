package report

import (
	"context"

	"paygate/pricing"
	"paygate/store/journal"
)

// Use is what calls add up to.
type Use struct {
	Calls   int   `json:"calls"`
	Credits int64 `json:"credits"`
	Denied  int   `json:"denied"`
}

func (u *Use) count(c *journal.Call) {
	u.Credits += int64(c.Charged)
	if c.Outcome == pricing.Denied {
		u.Denied++
	} else {
		u.Calls++
	}
}

// Totals are the use of all keys, or those of a namespace.
type Totals struct {
	Use
	Events  int // calls of all namespaces
	PerTool map[string]*Use
	PerKey  map[string]*Use // by the key's name
	Reasons map[string]int
}

// Totals sums up the calls of a namespace; empty: of all.
func (p *Reports) Totals(ctx context.Context, namespace string) (*Totals, error) {
	if err := p.opts.Book.Flush(ctx); err != nil {
		return nil, err
	}
	t := &Totals{PerTool: map[string]*Use{}, PerKey: map[string]*Use{}, Reasons: map[string]int{}}
	at := func(m map[string]*Use, name string) *Use {
		if m[name] == nil {
			m[name] = &Use{}
		}
		return m[name]
	}
	err := p.scanCalls(ctx, 0, func(e *journal.Event) bool {
		c := e.Call
		t.Events++
		k := p.opts.Keys.Get(c.Key)
		if namespace != "" && (k == nil || k.Namespace != namespace) {
			return true
		}
		name := "none"
		if k != nil {
			name = k.Name
		}
		t.count(c)
		at(t.PerTool, c.Tool).count(c)
		at(t.PerKey, name).count(c)
		if c.Outcome == pricing.Denied && len(c.Findings) > 0 {
			t.Reasons[c.Findings[0]]++
		}
		return true
	})
	return t, err
}
