package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"paygate/server/api"
	"paygate/server/api/client"
)

// Ready is what is shown once before the dashboard.
type Ready struct {
	URL   string
	Admin string // admin key that was made just now; empty: none
	Key   string // first API key; empty: none
}

// ShowReady prints keys that are shown only once, and how clients reach the
// gateway, and waits for Enter. A first API key is made if there is none. It
// prints nothing when there is nothing new.
func (w *World) ShowReady(ctx context.Context, c *client.Client, r Ready, isFirst bool) error {
	if isFirst {
		var err error
		if r.Key, err = firstKey(ctx, c); err != nil {
			return err
		}
	}
	if r.Admin == "" && r.Key == "" {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n  PayGate serves at %s/mcp\n\n", r.URL)
	if r.Admin != "" {
		fmt.Fprintf(&b, "  Admin key, shown only now: %s\n", r.Admin)
		b.WriteString("  The command line on this machine finds it in the state folder.\n\n")
	}
	if r.Key != "" {
		fmt.Fprintf(&b, "  First API key, shown only now, with %d credits: %s\n\n", firstCredits, r.Key)
		b.WriteString(clients(r.URL+"/mcp", r.Key))
	}
	b.WriteString("  Enter opens the dashboard ")
	if _, err := fmt.Fprint(w.Out, b.String()); err != nil {
		return err
	}
	read := make(chan error, 1)
	go func() {
		_, err := bufio.NewReaderSize(w.In, 16).ReadString('\n')
		read <- err
	}()
	select {
	case err := <-read:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// firstKey makes an API key if the gateway has none.
func firstKey(ctx context.Context, c *client.Client) (string, error) {
	var there api.KeyPage
	if err := c.Do(ctx, "GET", "/keys?limit=1", nil, &there); err != nil || there.Total > 0 {
		return "", err
	}
	var made struct{ Key string }
	err := c.Do(ctx, "POST", "/keys", map[string]any{"name": "first", "credits": firstCredits}, &made)
	return made.Key, err
}

const firstCredits = 100

// clients are configurations to paste.
func clients(url, key string) string {
	header := fmt.Sprintf(`"headers": {"X-API-Key": %q}`, key)
	var b strings.Builder
	section := func(name, text string) { fmt.Fprintf(&b, "  %s\n    %s\n\n", name, text) }
	section("Claude Code", fmt.Sprintf("claude mcp add --transport http paygate %s --header \"X-API-Key: %s\"", url, key))
	section("Cursor (.cursor/mcp.json)", fmt.Sprintf(`{"mcpServers": {"paygate": {"url": %q, %s}}}`, url, header))
	section("VS Code (.vscode/mcp.json)", fmt.Sprintf(`{"servers": {"paygate": {"type": "http", "url": %q, %s}}}`, url, header))
	section("Claude Desktop (claude_desktop_config.json)", fmt.Sprintf(`{"mcpServers": {"paygate": {"command": "paygate", "args": ["connect", %q, "--key", %q]}}}`, url, key))
	section("curl", fmt.Sprintf(`curl %s -H "X-API-Key: %s" -H "Content-Type: application/json" -d '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'`, url, key))
	return b.String()
}
