package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// wrapFlags are the flags of wrap that are settings, with the setting's name.
type wrapFlags struct {
	server, url, prices []string
	imports, headers    []string
	wrap                Wrap
	set                 map[string]*string
	split               func(string) ([]string, error)
}

func (w *World) wrap() *cobra.Command {
	f := &wrapFlags{set: map[string]*string{}, split: w.Split}
	cmd := &cobra.Command{
		Use:   "wrap",
		Short: "Put a price on an MCP server and serve it",
		Long: "wrap starts the MCP server, serves it at http://127.0.0.1:3402/mcp to agents with an API key, charges every call, and shows a dashboard.\n" +
			"Flags win over PAYGATE_ variables, variables over the file, the file over the defaults.",
		Example: "  paygate wrap --server \"npx -y @modelcontextprotocol/server-filesystem .\" --price 2\n" +
			"  paygate wrap --remote-url https://mcp.example.com/mcp --price 1 --shadow\n" +
			"  paygate wrap --config paygate.json --headless",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.collect(cmd.Flags()); err != nil {
				return err
			}
			return w.start(cmd.Context(), f.wrap)
		},
	}
	f.register(cmd.Flags())
	w.starting(cmd.Flags(), &f.wrap)
	return cmd
}

func (f *wrapFlags) register(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.server, "server", nil, "command that starts the MCP server, as in a shell")
	fs.StringArrayVar(&f.url, "remote-url", nil, "URL of an MCP server that runs already")
	fs.StringVarP(&f.wrap.File, "config", "c", "", "configuration file, JSON or YAML")
	fs.StringArrayVar(&f.prices, "tool-price", nil, "price of one tool, as name:credits; several with commas")
	fs.StringArrayVar(&f.imports, "import-key", nil, "API key to know from the start, as pg_…:credits")
	fs.StringArrayVar(&f.headers, "header", nil, "header for the remote server, as Name: value")
	texts := func(flag, setting, usage string) {
		f.set[setting] = fs.String(flag, "", usage)
	}
	texts("port", "port", "port (default 3402)")
	texts("host", "host", "address to listen on (default 127.0.0.1)")
	texts("price", "defaultCreditsPerCall", "credits for a call (default 1)")
	texts("rate-limit", "globalRateLimitPerMin", "calls a minute and key; 0 for no limit (default 60)")
	texts("name", "name", "name of the gateway")
	texts("admin-key", "adminKey", "admin key to begin with (default: made and shown once)")
	texts("state-dir", "stateDir", "folder for keys, credits and audit trail (default .paygate beside the file, or the user's own where a server is given that folder)")
	texts("trusted-proxies", "trustedProxies", "addresses whose X-Forwarded-For is believed; several with commas")
	texts("log-level", "logLevel", "debug, info, warn or error")
	texts("log-format", "logFormat", "text or json")
	texts("request-timeout", "requestTimeoutMs", "how long a client may take to send a request, in ms")
	texts("headers-timeout", "headersTimeoutMs", "the same for its headers")
	texts("keepalive-timeout", "keepAliveTimeoutMs", "when an idle connection is closed, in ms")
	texts("admin-rate-limit", "adminRateLimit", "admin requests a minute and address; 0 for no limit")
	texts("cors-origin", "cors", "origin of web pages that may call; * for all")
	texts("tool-timeout", "toolTimeoutMs", "when a call that is not answered is ended, in ms; 0 for never")
	shadow := func(flag, setting, usage string) {
		f.set[setting] = fs.String(flag, "", usage)
		fs.Lookup(flag).NoOptDefVal = "true"
	}
	shadow("shadow", "shadowMode", "watch and record, charge nothing")
	fs.Var(alias{f.set["shadowMode"]}, "shadow-mode", "the same as --shadow")
	fs.Lookup("shadow-mode").NoOptDefVal = "true"
	shadow("refund-on-failure", "refundOnFailure", "charge nothing for a call that failed")
	for _, later := range []string{"stripe-secret", "webhook-url", "webhook-secret", "webhook-retries", "redis-url"} {
		fs.Var(notBuilt{later}, later, "")
		_ = fs.MarkHidden(later) // it exists: it was made in the line before
	}
}

// alias is another name of a flag.
type alias struct{ to *string }

func (a alias) Set(s string) error { *a.to = s; return nil }
func (a alias) String() string     { return "" }
func (a alias) Type() string       { return "string" }

// notBuilt refuses a flag of a feature that this version does not have.
type notBuilt struct{ name string }

func (n notBuilt) Set(string) error {
	feature := map[string]string{"stripe-secret": "Stripe payments", "redis-url": "Redis mode"}[n.name]
	if feature == "" {
		feature = "webhooks"
	}
	return fmt.Errorf("this version has no %s yet; leave the flag out", feature)
}
func (n notBuilt) String() string { return "" }
func (n notBuilt) Type() string   { return "string" }

// collect turns the flags that were given into settings.
func (f *wrapFlags) collect(fs *pflag.FlagSet) error {
	f.wrap.Flags = map[string]string{}
	for setting, value := range f.set {
		if *value != "" {
			f.wrap.Flags[setting] = *value
		}
	}
	for _, name := range []string{"trustedProxies", "cors"} {
		if v := f.wrap.Flags[name]; v != "" {
			f.wrap.Flags[name] = jsonOf(strings.Split(v, ","))
		}
	}
	if v := f.wrap.Flags["cors"]; v != "" {
		f.wrap.Flags["cors"] = `{"origin":` + v + `}`
	}
	for _, name := range []string{"name", "adminKey", "host", "stateDir"} { // text even where it looks like a number
		if v, ok := f.wrap.Flags[name]; ok {
			f.wrap.Flags[name] = jsonOf(v)
		}
	}
	if err := f.target(); err != nil {
		return err
	}
	if err := f.toolPrices(); err != nil {
		return err
	}
	return f.keys()
}

func (f *wrapFlags) target() error {
	if len(f.server)+len(f.url) > 1 {
		return usage("--server and --remote-url name one server; several stand in a file under \"servers\", each with a prefix")
	}
	for _, line := range f.server {
		words, err := f.split(line)
		if err != nil {
			return usage("--server: %v", err)
		}
		f.wrap.Flags["serverCommand"], f.wrap.Flags["serverArgs"] = jsonOf(words[0]), jsonOf(append([]string{}, words[1:]...))
	}
	for _, url := range f.url {
		f.wrap.Flags["remoteUrl"] = jsonOf(url)
	}
	headers := map[string]string{}
	for _, h := range f.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return usage("--header %q: write it as \"Name: value\"", h)
		}
		headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	if len(headers) > 0 {
		f.wrap.Flags["headers"] = jsonOf(headers)
	}
	return nil
}

// toolPrices reads name:credits; the name may hold colons itself.
func (f *wrapFlags) toolPrices() error {
	tools := map[string]any{}
	for _, list := range f.prices {
		for _, pair := range strings.Split(list, ",") {
			name, n, err := lastColon(pair)
			if err != nil {
				return usage("--tool-price %q: write it as name:credits, such as read_file:2", pair)
			}
			tools[name] = map[string]int64{"creditsPerCall": n}
		}
	}
	if len(tools) > 0 {
		f.wrap.Flags["toolPricing"] = jsonOf(tools)
	}
	return nil
}

func (f *wrapFlags) keys() error {
	keys := map[string]int64{}
	for _, pair := range f.imports {
		key, n, err := lastColon(pair)
		if err != nil {
			return usage("--import-key: write it as pg_…:credits")
		}
		keys[key] = n
	}
	if len(keys) > 0 {
		f.wrap.Flags["importKeys"] = jsonOf(keys)
	}
	return nil
}

func lastColon(pair string) (string, int64, error) {
	i := strings.LastIndexByte(pair, ':')
	if i <= 0 {
		return "", 0, errors.New("no colon")
	}
	n, err := strconv.ParseInt(strings.TrimSpace(pair[i+1:]), 10, 64)
	return strings.TrimSpace(pair[:i]), n, err
}

func jsonOf(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(text)
}
