package report

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"paygate/server/api"
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

	took time.Duration
}

type consumer struct {
	Key     string `json:"key"`
	Calls   int    `json:"calls"`
	Credits int64  `json:"credits"`
}

func (t *toolStat) count(u *use) {
	t.Calls += u.Allowed + u.Denied
	t.Allowed += u.Allowed
	t.Denied += u.Denied
	t.Credits += u.Credits
	t.took += u.TookAllowed + u.TookDenied
}

func (t *toolStat) finish() {
	if t.Calls > 0 {
		t.Duration = (t.took / time.Duration(t.Calls)).Milliseconds()
		t.SuccessRate = float64(10000*t.Allowed/t.Calls) / 100
	}
}

type toolsOut struct {
	Total  int         `json:"totalTools"`
	Tools  []*toolStat `json:"tools"`
	Oldest *time.Time  `json:"oldestData"` // what was before is not kept
}

type toolOut struct {
	toolStat
	P95       int64          `json:"p95DurationMs"`
	Reasons   map[string]int `json:"denyReasons"`
	Consumers []consumer     `json:"topConsumers"` // by calls
	Oldest    *time.Time     `json:"oldestData"`
}

// toolStats is how all tools are used, or one of them in detail.
func (p *Reports) toolStats(ctx context.Context, in toolStatsIn) (any, error) {
	w := window{since: api.DateOr(in.Since, time.Time{})}
	if err := p.opts.Book.Flush(ctx); err != nil {
		return nil, err
	}
	if in.Tool != "" {
		return p.oneTool(ctx, in.Tool, w)
	}
	tools := map[string]*toolStat{}
	err := p.opts.Rollup.segments(ctx, w, func(s *segment) error {
		for at, u := range s.Use {
			entry(tools, at.Tool).count(u)
		}
		return nil
	})
	out := toolsOut{Total: len(tools), Tools: []*toolStat{}, Oldest: p.oldest()}
	for name, t := range tools {
		t.Tool = name
		t.finish()
		out.Tools = append(out.Tools, t)
	}
	slices.SortFunc(out.Tools, func(a, b *toolStat) int { return cmp.Or(b.Calls-a.Calls, cmp.Compare(a.Tool, b.Tool)) })
	return out, err
}

func (p *Reports) oneTool(ctx context.Context, tool string, w window) (any, error) {
	const mostConsumers = 10
	out := toolOut{toolStat: toolStat{Tool: tool}, Reasons: map[string]int{}, Consumers: []consumer{}, Oldest: p.oldest()}
	keys, took := map[string]*consumer{}, map[int64]int{}
	err := p.opts.Rollup.segments(ctx, w, func(s *segment) error {
		for at, u := range s.Use {
			if at.Tool != tool {
				continue
			}
			out.count(u)
			k := entry(keys, at.Key)
			k.Calls += u.Allowed + u.Denied
			k.Credits += u.Credits
			for reason, n := range u.Reasons {
				out.Reasons[Identifier(reason)] += n
			}
		}
		for ms, n := range s.Took[tool] {
			took[ms] += n
		}
		return nil
	})
	out.finish()
	out.P95 = nearestRank(took, out.Calls, 95)
	for id, k := range keys {
		k.Key = p.opts.Keys.Masked(id)
		out.Consumers = append(out.Consumers, *k)
	}
	slices.SortFunc(out.Consumers, func(a, b consumer) int { return cmp.Or(b.Calls-a.Calls, cmp.Compare(a.Key, b.Key)) })
	out.Consumers = out.Consumers[:min(len(out.Consumers), mostConsumers)]
	return out, err
}

// nearestRank is a percentile of n durations, counted by whole ms.
func nearestRank(took map[int64]int, n, percent int) int64 {
	left := (n*percent + 99) / 100
	for _, ms := range slices.Sorted(maps.Keys(took)) {
		if left -= took[ms]; left <= 0 {
			return ms
		}
	}
	return 0
}
