package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The Go SDK's client, MCP Inspector's command line and mcp-remote see of a
// server through the gateway what they see directly.

// goClient is the Go SDK's client with everything that a server can ask of it.
func goClient(heard func(any)) *mcp.Client {
	c := mcp.NewClient(&mcp.Implementation{Name: "recorder", Version: "1"}, &mcp.ClientOptions{
		CreateMessageHandler: func(_ context.Context, r *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
			return &mcp.CreateMessageResult{Model: "m", Role: "assistant", Content: &mcp.TextContent{Text: "sampled é🙂"}}, nil
		},
		ElicitationHandler: func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"name": "Ada", "username": "ada", "email": "ada@example.com", "confirm": true, "color": "red", "random": "7"}}, nil
		},
		LoggingMessageHandler:       func(_ context.Context, r *mcp.LoggingMessageRequest) { heard(r.Params.Data) },
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { heard(r.Params.Message) },
	})
	c.AddRoots(&mcp.Root{URI: "file:///tmp/one", Name: "one"})
	return c
}

// goTranscript is what the Go client gets of the Go SDK's conformance server.
func goTranscript(t *testing.T, over mcp.Transport) map[string]any {
	var mu sync.Mutex
	var heard []any
	session, err := goClient(func(v any) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, v)
	}).Connect(t.Context(), over, nil)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer session.Close()
	seen := map[string]any{}
	keep := func(what string, v any, err error) {
		if err != nil { // over HTTP the SDK adds the status, which is the specification's
			text := strings.TrimSuffix(err.Error(), ": rejected by transport: Bad Request")
			v = text[strings.LastIndex(text, `": `)+1:]
		}
		seen[what] = v
	}
	ctx := t.Context()
	tools, err := session.ListTools(ctx, nil)
	keep("tools", tools, err)
	resources, err := session.ListResources(ctx, nil)
	keep("resources", resources, err)
	templates, err := session.ListResourceTemplates(ctx, nil)
	keep("templates", templates, err)
	prompts, err := session.ListPrompts(ctx, nil)
	keep("prompts", prompts, err)
	for _, uri := range []string{"test://static-text", "test://static-binary", "test://template/7/data", "test://nothing"} {
		r, err := session.ReadResource(ctx, &mcp.ReadResourceParams{URI: uri})
		keep(uri, r, err)
	}
	prompt, err := session.GetPrompt(ctx, &mcp.GetPromptParams{Name: "test_prompt_with_arguments", Arguments: map[string]string{"arg1": "é", "arg2": "🙂"}})
	keep("prompt", prompt, err)
	completion, err := session.Complete(ctx, &mcp.CompleteParams{Ref: &mcp.CompleteReference{Type: "ref/prompt", Name: "test_prompt_with_arguments"}, Argument: mcp.CompleteParamsArgument{Name: "arg1", Value: "p"}})
	keep("completion", completion, err)
	for _, name := range []string{"test_simple_text", "test_multiple_content_types", "test_tool_with_logging", "test_error_handling", "test_input_required_result_elicitation",
		"test_input_required_result_sampling", "test_input_required_result_list_roots", "test_input_required_result_multi_round", "nothing"} {
		r, err := session.CallTool(ctx, &mcp.CallToolParams{Name: name, Arguments: map[string]any{}})
		keep(name, r, err)
	}
	params := &mcp.CallToolParams{Name: "test_tool_with_progress", Arguments: map[string]any{}}
	params.SetProgressToken("mine")
	r, err := session.CallTool(ctx, params)
	if err == nil && len(r.Content) == 1 {
		r.Content = nil // it says its progress token, which is not the client's own
	}
	keep("progress", r, err)
	mu.Lock()
	defer mu.Unlock()
	seen["heard"] = heard
	return plain(t, seen)
}

// plain makes JSON values of what was seen, without the prices.
func plain(t *testing.T, v any) map[string]any {
	text, err := json.Marshal(v)
	if err != nil {
		t.Error(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Errorf("%v: %s", err, text)
	}
	s := transcript{Steps: []map[string]any{out}}
	s.settle()
	oneEra(s.Steps[0])
	return s.Steps[0]
}

func TestTheGoClientSeesNoDifferenceNeitherDirectlyNorThroughMcpRemote(t *testing.T) {
	t.Parallel()
	server := fromGoSDK(t, "conformance/everything-server")
	g := start(t, map[string]any{"serverCommand": server, "env": "", "isolation": ""})
	k := g.key(map[string]any{"credits": 1000})
	var all sync.WaitGroup
	var direct, through, remote map[string]any
	all.Go(func() { direct = goTranscript(t, &mcp.CommandTransport{Command: exec.Command(server)}) })
	all.Go(func() {
		through = goTranscript(t, &mcp.StreamableClientTransport{Endpoint: g.url + "/mcp", HTTPClient: &http.Client{Transport: withKey{k.Key}}})
	})
	all.Go(func() {
		cmd := exec.Command(npm(t, "mcp-remote"), g.url+"/mcp", "--header", "X-API-Key:"+k.Key, "--transport", "http-only")
		cmd.Env = append(cmd.Environ(), "MCP_REMOTE_CONFIG_DIR="+t.TempDir())
		remote = goTranscript(t, &mcp.CommandTransport{Command: cmd})
	})
	all.Wait()
	if diff := cmp.Diff(direct, through); diff != "" {
		t.Errorf("- directly, + through the gateway:\n%s", diff)
	}
	if diff := cmp.Diff(direct, remote); diff != "" {
		t.Errorf("- directly, + through mcp-remote and the gateway:\n%s", diff)
	}
	if got := g.account(k); got.Spent == 0 || got.Held != 0 {
		t.Errorf("%+v", got)
	}
}

// inspect runs MCP Inspector's command line, once.
func inspect(t *testing.T, target []string, args ...string) map[string]any {
	cmd := exec.Command(npm(t, "mcp-inspector"), append(append([]string{"--cli"}, target...), args...)...)
	cmd.Env = append(cmd.Environ(), "MCP_CATALOG_PATH="+t.TempDir()+"/none.json")
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s: %v: %s", strings.Join(args, " "), err, out)
		return nil
	}
	return plain(t, json.RawMessage(out))
}

func TestTheInspectorSeesNoDifference(t *testing.T) {
	t.Parallel()
	server := fromGoSDK(t, "examples/server/everything")
	g := start(t, map[string]any{"serverCommand": server, "env": "", "isolation": ""})
	k := g.key(nil)
	var all sync.WaitGroup
	for _, args := range []string{"--method tools/list", "--method tools/call --tool-name greet --tool-arg name=Ada", "--method prompts/get --prompt-name greet --prompt-args name=Ada", "--method resources/list"} {
		all.Go(func() {
			direct := inspect(t, []string{server}, strings.Fields(args)...)
			through := inspect(t, []string{g.url + "/mcp", "--transport", "http", "--header", "X-API-Key: " + k.Key}, strings.Fields(args)...)
			if diff := cmp.Diff(direct, through); diff != "" || direct == nil {
				t.Errorf("%s: - directly, + through the gateway:\n%s", args, diff)
			}
		})
	}
	all.Wait()
	if got := g.account(k); got.Spent != 2 {
		t.Errorf("%+v", got)
	}
}
