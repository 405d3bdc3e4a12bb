package report

import (
	"cmp"
	"context"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store/journal"
)

type toolStatsIn struct {
	Tool  string `query:"tool"`
	Since string `query:"since"`
}

type toolStat struct {
	Tool        string  `json:"tool"`
	Calls       int     `json:"totalCalls"`
	Allowed     int     `json:"allowed"`
	Denied      int     `json:"denied"`
	SuccessRate float64 `json:"successRate"` // percent of calls that were allowed
	Credits     int64   `json:"totalCredits"`
	Duration    int64   `json:"avgDurationMs"`

	took    []time.Duration
	reasons map[string]int
	keys    map[string]*consumer
}

type consumer struct {
	Key     string `json:"key"`
	Calls   int    `json:"calls"`
	Credits int64  `json:"credits"`
}

func (t *toolStat) count(c *journal.Call, key string) {
	t.Calls++
	t.Credits += int64(c.Charged)
	t.took = append(t.took, c.Took)
	if c.Outcome == pricing.Denied {
		t.Denied++
		if len(c.Findings) > 0 {
			t.reasons[Identifier(c.Findings[0])]++
		}
	} else {
		t.Allowed++
	}
	k := t.keys[key]
	if k == nil {
		k = &consumer{Key: key}
		t.keys[key] = k
	}
	k.Calls++
	k.Credits += int64(c.Charged)
}

func (t *toolStat) finish() {
	sum := time.Duration(0)
	for _, d := range t.took {
		sum += d
	}
	if t.Calls > 0 {
		t.Duration = (sum / time.Duration(t.Calls)).Milliseconds()
		t.SuccessRate = float64(int(10000*t.Allowed/t.Calls)) / 100
	}
	slices.Sort(t.took)
}

func (p *Reports) toolStats(ctx context.Context, in toolStatsIn) (map[string]any, error) {
	since, tools := api.DateOr(in.Since, time.Time{}), map[string]*toolStat{}
	if err := p.opts.Book.Flush(ctx); err != nil {
		return nil, err
	}
	err := p.scanCalls(ctx, 0, func(e *journal.Event) bool {
		c := e.Call
		if c.At.Before(since) {
			return false
		}
		if in.Tool != "" && c.Tool != in.Tool {
			return true
		}
		t := tools[c.Tool]
		if t == nil {
			t = &toolStat{Tool: c.Tool, reasons: map[string]int{}, keys: map[string]*consumer{}}
			tools[c.Tool] = t
		}
		t.count(c, p.opts.Keys.Shown(c.Key))
		return true
	})
	if err != nil {
		return nil, err
	}
	if in.Tool != "" {
		t := tools[in.Tool]
		if t == nil {
			t = &toolStat{Tool: in.Tool, reasons: map[string]int{}}
		}
		t.finish()
		top := []consumer{}
		for _, k := range t.keys {
			top = append(top, *k)
		}
		slices.SortFunc(top, func(a, b consumer) int { return cmp.Or(b.Calls-a.Calls, cmp.Compare(a.Key, b.Key)) })
		p95 := int64(0)
		if n := len(t.took); n > 0 {
			p95 = t.took[min(n-1, (n*95+99)/100-1)].Milliseconds()
		}
		return map[string]any{"tool": t.Tool, "totalCalls": t.Calls, "allowed": t.Allowed, "denied": t.Denied, "successRate": t.SuccessRate, "totalCredits": t.Credits,
			"avgDurationMs": t.Duration, "p95DurationMs": p95, "denyReasons": t.reasons, "topConsumers": top[:min(len(top), 10)]}, nil
	}
	list := []*toolStat{}
	for _, t := range tools {
		t.finish()
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b *toolStat) int { return cmp.Or(b.Calls-a.Calls, cmp.Compare(a.Tool, b.Tool)) })
	return map[string]any{"totalTools": len(list), "tools": list}, nil
}
