package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"paygate/server/api"
	"paygate/server/api/client"
)

func (w *World) attach() *cobra.Command {
	r, look := &remote{running: true}, Wrap{}
	cmd := &cobra.Command{Use: "attach [URL]", Short: "Show the dashboard of a running gateway", Example: "  paygate attach\n  paygate attach http://10.0.0.5:3402 --admin-key ak_…",
		Args: cobra.MaximumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				r.url = args[0]
			}
			c, _, err := w.client(cmd.Context(), r)
			if err != nil {
				return err
			}
			if !w.Terminal {
				return usage("the dashboard needs a terminal; \"paygate logs -f\" follows without one")
			}
			if err := checkTheme(look.Theme); err != nil {
				return err
			}
			return w.Attach(cmd.Context(), c, look.ASCII, look.Theme)
		}}
	r.flags(cmd)
	w.drawing(cmd.Flags(), &look)
	return cmd
}

func (w *World) logs() *cobra.Command {
	r, follow := &remote{running: true}, false
	cmd := w.action(r, "logs", "Read the gateway's log", cobra.NoArgs, func(ctx context.Context, c *client.Client, _ []string) error {
		line := func(l api.LogLine) {
			w.say("%s %-5s %s %s", l.At.Local().Format("15:04:05.000"), strings.ToUpper(l.Level), l.Text, l.Attrs)
		}
		if follow {
			return c.Stream(ctx, "/admin/logs", func(_, _ string, data []byte) error {
				var l api.LogLine
				if err := json.Unmarshal(data, &l); err != nil {
					return err
				}
				line(l)
				return nil
			})
		}
		var out struct{ Lines []api.LogLine }
		if err := c.Do(ctx, "GET", "/admin/logs", nil, &out); err != nil {
			return err
		}
		return w.show(r, out.Lines, func() {
			for _, l := range out.Lines {
				line(l)
			}
		})
	})
	r.flags(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as lines come")
	return cmd
}

// call makes one priced call by hand.
func (w *World) call() *cobra.Command {
	r, key, dry := &remote{running: true}, "", false
	cmd := w.action(r, "call TOOL [JSON]", "Call a tool by hand, with its quote first", cobra.RangeArgs(1, 2), func(ctx context.Context, c *client.Client, args []string) error {
		if key == "" {
			key = w.env("API_KEY")
		}
		if key == "" {
			return usage("a call needs an API key: --key pg_… or API_KEY in the environment")
		}
		arguments := json.RawMessage("{}")
		if len(args) == 2 {
			if arguments = json.RawMessage(args[1]); !json.Valid(arguments) {
				return usage("%q is not JSON; write the arguments as '{\"path\":\".\"}'", args[1])
			}
		}
		var quote struct {
			Allowed          bool
			Reason           string
			CreditsRequired  int64 `json:"creditsRequired"`
			CreditsAvailable int64 `json:"creditsAvailable"`
		}
		if err := c.Do(ctx, "POST", "/requests/dry-run", map[string]any{"key": key, "tool": args[0], "arguments": arguments}, &quote); err != nil {
			return err
		}
		if !r.json && (quote.Allowed || quote.CreditsRequired > 0) { // a wrong key has no price, only a refusal
			w.say("quote: %s of %d", credits(quote.CreditsRequired), quote.CreditsAvailable)
		}
		if dry {
			return w.show(r, quote, func() { w.say("would be %s", first(quote.Reason, "admitted")) })
		}
		var answer struct {
			Result json.RawMessage
			Error  *struct {
				Code    int
				Message string
			}
		}
		err := c.WithKey(key).Do(ctx, "POST", "/mcp", map[string]any{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": map[string]any{"name": args[0], "arguments": arguments}}, &answer)
		if err != nil {
			return err
		}
		if answer.Error != nil {
			return fmt.Errorf("%s (%d)", answer.Error.Message, answer.Error.Code)
		}
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, answer.Result, "", "  "); err != nil {
			return err
		}
		w.say("%s", pretty.String())
		return nil
	})
	r.flags(cmd)
	cmd.Flags().StringVar(&key, "key", "", "API key (default API_KEY of the environment)")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only ask what it would be answered")
	cmd.Example = "  paygate call read_file '{\"path\":\"README.md\"}' --key pg_…"
	return cmd
}

// connect is a stdio bridge: a client that can only start a command gets the
// gateway on its standard input and output.
func (w *World) connect() *cobra.Command {
	key := ""
	cmd := &cobra.Command{Use: "connect [URL]", Short: "Bridge a client that can only start commands to a gateway", Args: cobra.MaximumNArgs(1),
		Example: "  paygate connect http://127.0.0.1:3402/mcp --key pg_…",
		RunE: func(cmd *cobra.Command, args []string) error {
			url := "http://127.0.0.1:3402/mcp"
			if len(args) == 1 {
				url = args[0]
			}
			b := &bridge{url: url, key: first(key, w.env("PAYGATE_API_KEY"), w.env("API_KEY")), out: w.Out, err: w.Err, client: &http.Client{}}
			return b.run(cmd.Context(), w.In)
		}}
	cmd.Flags().StringVar(&key, "key", "", "API key (default PAYGATE_API_KEY or API_KEY of the environment)")
	return cmd
}

// bridge carries messages between standard input and output and a gateway.
type bridge struct {
	url, key string
	out, err io.Writer
	client   *http.Client

	mu      sync.Mutex // of out
	state   sync.Mutex // of session and version
	session string
	version string
	posts   sync.WaitGroup
}

const longestLine = 64 << 20

func (b *bridge) run(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), longestLine)
	for lines.Scan() {
		line := bytes.Clone(bytes.TrimSpace(lines.Bytes()))
		if len(line) == 0 {
			continue
		}
		var m struct {
			ID     json.RawMessage
			Method string
		}
		_ = json.Unmarshal(line, &m) // the gateway says what is wrong with it
		if m.Method == "initialize" {
			b.post(ctx, line, m.ID) // its session is needed by what follows
			go b.listen(ctx)
			continue
		}
		b.posts.Go(func() { b.post(ctx, line, m.ID) })
	}
	b.posts.Wait()
	b.end(context.WithoutCancel(ctx))
	return lines.Err()
}

func (b *bridge) request(ctx context.Context, method string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, b.url, body)
	if err != nil {
		return nil, err
	}
	b.state.Lock()
	defer b.state.Unlock()
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Content-Type", "application/json")
	if b.key != "" {
		req.Header.Set("X-API-Key", b.key)
	}
	if b.session != "" {
		req.Header.Set("Mcp-Session-Id", b.session)
		req.Header.Set("MCP-Protocol-Version", b.version)
	}
	return req, nil
}

func (b *bridge) post(ctx context.Context, line []byte, id json.RawMessage) {
	req, err := b.request(ctx, http.MethodPost, bytes.NewReader(line))
	if err == nil {
		modern(req, line)
		var res *http.Response
		if res, err = b.client.Do(req); err == nil {
			b.remember(res)
			err = b.copy(res)
		}
	}
	if err != nil && len(id) > 0 && !errors.Is(err, context.Canceled) {
		text, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "error": map[string]any{"code": -32603, "message": "paygate connect: " + err.Error()}})
		b.write(text)
	}
}

// modern adds the headers that a stateless request needs over HTTP.
func modern(req *http.Request, line []byte) {
	var m struct {
		Method string
		Params struct {
			Name, URI, TaskID string
			Meta              map[string]json.RawMessage `json:"_meta"`
		}
	}
	if json.Unmarshal(line, &m) != nil {
		return
	}
	var version string
	if json.Unmarshal(m.Params.Meta["io.modelcontextprotocol/protocolVersion"], &version) != nil {
		return
	}
	req.Header.Set("MCP-Protocol-Version", version)
	req.Header.Set("Mcp-Method", m.Method)
	if name := first(m.Params.Name, m.Params.URI, m.Params.TaskID); name != "" {
		req.Header.Set("Mcp-Name", name)
	}
}

func (b *bridge) remember(res *http.Response) {
	if id := res.Header.Get("Mcp-Session-Id"); id != "" {
		b.state.Lock()
		defer b.state.Unlock()
		b.session = id
	}
}

// copy writes what an answer holds, message by message.
func (b *bridge) copy(res *http.Response) error {
	defer func() { _ = res.Body.Close() }()
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		text, err := io.ReadAll(io.LimitReader(res.Body, longestLine))
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(text)) > 0 {
			b.write(text)
		}
		return nil
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 64<<10), longestLine)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data:"); ok && strings.TrimSpace(data) != "" {
			b.write([]byte(data))
		}
	}
	return lines.Err()
}

func (b *bridge) write(message []byte) {
	var one bytes.Buffer
	if json.Compact(&one, message) != nil {
		return
	}
	b.noteVersion(one.Bytes())
	b.mu.Lock()
	defer b.mu.Unlock()
	_, _ = b.out.Write(append(one.Bytes(), '\n')) // a client that is gone closes our input too
}

// noteVersion remembers the revision that initialize agreed to.
func (b *bridge) noteVersion(message []byte) {
	var m struct {
		Result struct {
			ProtocolVersion string `json:"protocolVersion"`
		}
	}
	if json.Unmarshal(message, &m) == nil && m.Result.ProtocolVersion != "" {
		b.state.Lock()
		defer b.state.Unlock()
		b.version = m.Result.ProtocolVersion
	}
}

// listen keeps the session's standing stream open.
func (b *bridge) listen(ctx context.Context) {
	for ctx.Err() == nil {
		req, err := b.request(ctx, http.MethodGet, nil)
		if err != nil || req.Header.Get("Mcp-Session-Id") == "" {
			return
		}
		res, err := b.client.Do(req)
		if err == nil && res.StatusCode != http.StatusOK {
			_ = res.Body.Close()
			return
		}
		if err == nil {
			_ = b.copy(res) // it broke; another one follows
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (b *bridge) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := b.request(ctx, http.MethodDelete, nil)
	if err != nil || req.Header.Get("Mcp-Session-Id") == "" {
		return
	}
	if res, err := b.client.Do(req); err == nil {
		_ = res.Body.Close()
	}
}
