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
// the caller's key may not call. The tools' own members stay as they came. In
// shadow mode agents see no price.
func (w *World) offer(res *mcp.Message, terms *keys.Terms) *mcp.Message {
	tools := gjson.GetBytes(res.Result, "tools")
	if !tools.IsArray() {
		return res
	}
	priced := !w.Way.Observe || w.Config.AnnouncePrices
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
			out = append(append(append(out, raw[:end]...), `,"_pricing":`...), w.pricing(name)...)
			out = append(out, '}')
			continue
		}
		out = append(out, raw...)
	}
	out = append(out, ']')
	edited, err := sjson.SetRawBytes(res.Result, "tools", out)
	if err != nil {
		return res
	}
	m := *res
	m.Result = edited
	return &m
}

// pricing is what a tool costs, as agents are told.
func (w *World) pricing(tool string) []byte {
	p := w.Way.Sheet.Tool(tool)
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
