package tui

import (
	"encoding/json"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"paygate/server/api"
	"paygate/tui/figure"
)

// curl is the command that makes this call again.
func (c *calls) curl(r *api.CallRow) string {
	args, _ := c.argumentsOf(r)
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "tools/call",
		"params": map[string]any{"name": r.Tool, "arguments": args}})
	if err != nil {
		return ""
	}
	url := or(strings.TrimSuffix(c.m.opt.URL, "/"), "http://127.0.0.1:3402")
	return fmt.Sprintf(`curl %s/mcp -H "X-API-Key: $API_KEY" -H 'Content-Type: application/json' -d %s`, url, quote(string(body)))
}

// argumentsOf are a call's arguments, empty ones if they are not kept.
func (c *calls) argumentsOf(r *api.CallRow) (args json.RawMessage, kept bool) {
	if d := c.detail[r.ID]; d != nil && d.Request != "" {
		return arguments(d.Request), true
	}
	return json.RawMessage("{}"), false
}

// arguments finds the tool's arguments in a request as it is kept: the whole
// message, its params, or the arguments alone.
func arguments(request string) json.RawMessage {
	var m struct {
		Params *struct {
			Arguments json.RawMessage `json:"arguments"`
		} `json:"params"`
		Arguments json.RawMessage `json:"arguments"`
	}
	if err := json.Unmarshal([]byte(request), &m); err != nil {
		return json.RawMessage("{}")
	}
	switch {
	case m.Params != nil && m.Params.Arguments != nil:
		return m.Params.Arguments
	case m.Arguments != nil:
		return m.Arguments
	case m.Params != nil:
		return json.RawMessage("{}")
	}
	return json.RawMessage(request)
}

// dryRun asks what the call would cost now.
func (c *calls) dryRun(r *api.CallRow) tea.Cmd {
	args, _ := c.argumentsOf(r)
	type verdict struct {
		Allowed          bool   `json:"allowed"`
		Reason           string `json:"reason"`
		CreditsRequired  int64  `json:"creditsRequired"`
		CreditsAvailable int64  `json:"creditsAvailable"`
		CreditsAfter     int64  `json:"creditsAfter"`
	}
	if r.KeyID == "" {
		c.m.warn("This call came without a key that is known, so it cannot be tried again.")
		return nil
	}
	in := map[string]any{"key": r.KeyID, "tool": r.Tool, "arguments": args}
	return ask(c.m, "POST", "/requests/dry-run", in, func(v verdict, err error) tea.Cmd {
		if err != nil {
			c.m.warn("%s", err)
			return nil
		}
		lines := []string{fmt.Sprintf("✓ would be served: it needs %s credits, the key has %s", figure.Group(v.CreditsRequired), figure.Group(v.CreditsAvailable)),
			fmt.Sprintf("  %s would be left", figure.Group(v.CreditsAfter))}
		if !v.Allowed {
			lines = []string{"⊘ would be refused: " + v.Reason, fmt.Sprintf("  it needs %s credits, the key has %s", figure.Group(v.CreditsRequired), figure.Group(v.CreditsAvailable))}
		}
		lines = append(lines, "", "Nothing was sent and nothing was charged.", "", "same as  paygate call --dry-run "+quote(r.Tool))
		return c.m.open(&page{m: c.m, title: "Dry run of " + r.Tool + " for " + r.Key, lines: text(lines...)})
	})
}
