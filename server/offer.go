package server

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"paygate/pricing"
	"paygate/server/feature/access"
	"paygate/server/keys"
	"paygate/server/mcp"
)

// offer adds _pricing to every tool of a tools/list answer, and leaves out what
// the caller's key may not call. The tools' own members stay as they came. When
// other prices are coming, the answer says which and from when, and does not
// outlive them in a cache. In shadow mode agents see no price.
func (w *World) offer(res *mcp.Message, terms *keys.Terms, now time.Time) *mcp.Message {
	tools := gjson.GetBytes(res.Result, "tools")
	if !tools.IsArray() {
		return res
	}
	priced := w.announces()
	sheet, names := w.prices.of(terms, now), []string{}
	out := append(make([]byte, 0, len(tools.Raw)+128*len(tools.Array())), '[')
	for _, tool := range tools.Array() {
		name := tool.Get("name").Str
		if terms != nil && access.Refusal(terms, name) != "" {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		raw := tool.Raw
		if end := len(raw) - 1; priced && tool.IsObject() && end > 1 {
			out = append(append(append(out, raw[:end]...), `,"_pricing":`...), w.pricing(sheet.ToolFor(asker(terms, name)), name)...)
			out = append(out, '}')
			names = append(names, name)
			continue
		}
		out = append(out, raw...)
	}
	out = append(out, ']')
	edited, err := sjson.SetRawBytes(res.Result, "tools", out)
	if err != nil {
		return res
	}
	if gjson.GetBytes(edited, "cacheScope").Str == "public" { // tools and prices are each key's own
		if own, err := sjson.SetBytes(edited, "cacheScope", "private"); err == nil {
			edited = own
		}
	}
	m := *res
	m.Result = w.foretell(edited, terms, names, now)
	return &m
}

// announces says whether agents may see prices.
func (w *World) announces() bool { return !w.Way.Observe || w.Config.AnnouncePrices }

// foretell puts the prices that are coming into a tools/list answer, and
// shortens how long it may be cached.
func (w *World) foretell(result []byte, terms *keys.Terms, names []string, now time.Time) []byte {
	next := w.nextPrices(terms, names)
	if next == nil {
		return result
	}
	edited, err := sjson.SetBytes(result, "_meta.paygate.nextPrices", next)
	if err != nil {
		return result
	}
	left := max(0, next.EffectiveAt.Sub(now).Milliseconds())
	if ttl := gjson.GetBytes(edited, "ttlMs"); ttl.Exists() && ttl.Int() > left {
		if short, err := sjson.SetBytes(edited, "ttlMs", left); err == nil {
			edited = short
		}
	}
	return edited
}

// nextOut are prices that are coming.
type nextOut struct {
	Sheet       string          `json:"sheet"`
	EffectiveAt time.Time       `json:"effectiveAt"`
	Percent     float64         `json:"percentOfKeys,omitempty"` // 0: of all
	Keeps       bool            `json:"keepsExistingKeys,omitempty"`
	Default     pricing.Credits `json:"defaultCreditsPerCall"`
	Tools       []toolPrice     `json:"tools"`
}

// nextPrices are the prices that a key will pay from a time on, or nil. In
// shadow mode nobody is told.
func (w *World) nextPrices(terms *keys.Terms, names []string) *nextOut {
	sheet, n := w.prices.next(terms)
	if sheet == nil || !w.announces() {
		return nil
	}
	out := &nextOut{Sheet: n.Sheet, EffectiveAt: n.At, Default: sheet.Default().PerCall, Tools: []toolPrice{}}
	if terms == nil {
		out.Percent, out.Keeps = n.Percent, n.Keeps
	}
	for _, name := range names {
		out.Tools = append(out.Tools, w.toolPrice(sheet.ToolFor(asker(terms, name)), name))
	}
	return out
}

// asker is what is known of who asks for a tool's price; nil terms are nobody
// in particular.
func asker(t *keys.Terms, tool string) *pricing.Call {
	if t == nil {
		return &pricing.Call{Tool: tool}
	}
	return &pricing.Call{Tool: tool, Key: t.ID, Payer: t.Payer, Plan: t.Plan, Group: t.Group, Tags: t.Tags}
}

// toolPrice is what a tool costs, as people are told.
func (w *World) toolPrice(p pricing.ToolPrice, name string) toolPrice {
	return toolPrice{Name: name, PerCall: p.PerCall, PerKBIn: p.PerKBIn, PerKBOut: p.PerKBOut, Free: p == pricing.ToolPrice{},
		Model: model(p), Rate: w.Config.Tools[name].RateLimit}
}

// pricing is what a tool costs, as agents are told.
func (w *World) pricing(p pricing.ToolPrice, tool string) []byte {
	b := append([]byte(`{"name":`), quoted(tool)...)
	b = strconv.AppendInt(append(b, `,"creditsPerCall":`...), int64(p.PerCall), 10)
	b = strconv.AppendInt(append(b, `,"creditsPerKbInput":`...), int64(p.PerKBIn), 10)
	b = strconv.AppendInt(append(b, `,"creditsPerKbOutput":`...), int64(p.PerKBOut), 10)
	b = strconv.AppendBool(append(b, `,"isFree":`...), p == pricing.ToolPrice{})
	b = append(append(append(b, `,"pricingModel":"`...), model(p)...), '"')
	rate := w.Config.Tools[tool].RateLimit
	if rate == 0 {
		rate = w.Config.GlobalRateLimit
	}
	b = strconv.AppendInt(append(b, `,"rateLimitPerMin":`...), int64(rate), 10)
	return append(b, '}')
}

func model(p pricing.ToolPrice) string {
	switch {
	case p == pricing.ToolPrice{}:
		return "free"
	case p.PerKBIn > 0 || p.PerKBOut > 0:
		return "dynamic"
	}
	return "flat"
}

func quoted(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`)
	}
	return b
}

// toolNames are the tools that the servers offer, as agents name them. A
// server that does not answer in time is left out.
func (s *Server) toolNames(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	names := []string{}
	for _, st := range s.servers.Status() {
		tools, err := s.servers.Tools(ctx, st.Prefix)
		if err != nil {
			continue
		}
		for _, t := range tools {
			name := gjson.GetBytes(t, "name").Str
			if st.Prefix != "" && !prefixed(name, st.Prefix, s.opts.Static.Separator) {
				name = st.Prefix + s.opts.Static.Separator + name
			}
			names = append(names, name)
		}
	}
	return names
}

func prefixed(name, prefix, separator string) bool {
	p := prefix + separator
	return len(name) >= len(p) && name[:len(p)] == p
}
