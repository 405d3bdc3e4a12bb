package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"paygate/server/gate"
	"paygate/server/keys"
	"paygate/server/mcp"
	"paygate/store/ledger"
)

// agents answers what agents ask at /mcp. It is the mcp.Handler: the endpoint
// has read the request, and sends what comes back.
type agents struct{ s *Server }

// identity is what Identify finds out once for all checks of a request.
type identity struct {
	terms   *keys.Terms // nil when no valid key came
	refused string      // why not: missing_api_key, invalid_api_key or api_key_expired
	addr    netip.Addr
}

// Identify reads the key from X-API-Key or Authorization: Bearer.
func (a *agents) Identify(r *http.Request) mcp.Caller {
	secret := r.Header.Get("X-Api-Key")
	if secret == "" {
		secret, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	id := identity{addr: a.s.front.ClientIP(r)}
	if secret == "" {
		id.refused = "missing_api_key"
		return mcp.Caller{Terms: id}
	}
	id.terms, id.refused = a.s.keys.Identify(secret)
	if id.terms == nil {
		return mcp.Caller{Terms: id}
	}
	return mcp.Caller{ID: id.terms.ID, Barred: id.terms.Suspended, Terms: id}
}

// Handle answers one request.
func (a *agents) Handle(ctx context.Context, x *mcp.Exchange) (*mcp.Message, error) {
	w := a.s.world.Load()
	who, _ := x.Caller.Terms.(identity)
	if err := mcp.CheckNames(x.Request.Params); err != nil {
		return nil, a.malformed(x, err)
	}
	switch method := x.Request.Method; {
	case w.free(method):
		return a.free(ctx, w, who, x)
	case method == "tools/call":
		return a.call(ctx, w, who, x)
	case method == "tools/call_batch":
		return a.batch(ctx, w, who, x)
	default:
		return a.keyed(ctx, w, who, x)
	}
}

// free passes on what costs nothing and needs no key.
func (a *agents) free(ctx context.Context, w *World, who identity, x *mcp.Exchange) (*mcp.Message, error) {
	if d := a.tooMany(w, who, x.Request.Method); d != nil {
		a.reject(w, who, askedFor(x.HTTP, x.Request), d.Reason)
		x.SetHeader("Retry-After", seconds(d.RetryAfter))
		return a.refusal(w, &gate.Call{Refused: who.refused, Addr: who.addr, Request: x.Request}, d), nil
	}
	res, err := x.Forward(ctx, x.Request)
	if err != nil {
		return nil, failure(err)
	}
	a.figures(w, who, x, nil)
	if x.Request.Method == "tools/list" && res.Error == nil {
		return w.offer(res, who.terms, a.s.opts.Now()), nil
	}
	return res, nil
}

// tooMany limits, by address, what a server does for those who show no key.
func (a *agents) tooMany(w *World, who identity, method string) *gate.Denial {
	if who.terms != nil || !strings.HasSuffix(method, "/list") {
		return nil
	}
	wait := a.s.front.perIP.take("lists "+vicinity(who.addr), w.Config.PublicRateLimit)
	if wait == 0 {
		return nil
	}
	d := gate.Deny("rate_limited")
	d.RetryAfter = wait
	return d
}

// keyed passes on what is not charged but is nobody's but a key's: resources,
// prompts, completions, tasks and whatever a later revision brings.
func (a *agents) keyed(ctx context.Context, w *World, who identity, x *mcp.Exchange) (*mcp.Message, error) {
	c := &gate.Call{Terms: who.terms, Refused: who.refused, Addr: who.addr, Request: x.Request}
	for _, check := range w.entry {
		if d := check.Do(c); d != nil {
			a.reject(w, who, askedFor(x.HTTP, x.Request), d.Reason)
			return a.refusal(w, c, d), nil
		}
	}
	if wait := a.s.others.take(c.Terms.ID, w.Config.GlobalRateLimit); wait > 0 {
		d := gate.Deny("rate_limited")
		d.RetryAfter = wait
		a.reject(w, who, askedFor(x.HTTP, x.Request), d.Reason)
		return a.refusal(w, c, d), nil
	}
	a.figures(w, who, x, nil)
	if strings.HasPrefix(x.Request.Method, "tasks/") {
		return a.tasks(ctx, c.Terms.ID, x)
	}
	res, err := x.Forward(ctx, x.Request)
	if err != nil {
		return nil, failure(err)
	}
	return res, nil
}

// call takes one tools/call through the gate.
func (a *agents) call(ctx context.Context, w *World, who identity, x *mcp.Exchange) (*mcp.Message, error) {
	c, err := a.newCall(w, who, x, x.Request.Params)
	if err != nil {
		return nil, a.malformed(x, err)
	}
	c.Request, c.Resumes, c.Carry, c.Send = x.Request, x.Resumes, x.Carry, x.Forward
	err = a.s.gate.Do(ctx, &w.Way, c)
	if c.Repeated {
		x.SetHeader("X-Idempotent-Replay", "true")
	}
	if err == nil && c.Ref != "" {
		err = a.s.tasks.remember(ctx, c, x)
	}
	a.figures(w, who, x, c)
	return a.outcome(w, x, c, err)
}

// outcome turns how a call ended into what the agent is told.
func (a *agents) outcome(w *World, x *mcp.Exchange, c *gate.Call, err error) (*mcp.Message, error) {
	denial := gate.DenialOf(err)
	switch {
	case denial != nil:
		if denial.RetryAfter > 0 {
			x.SetHeader("Retry-After", seconds(denial.RetryAfter))
		}
		return a.refusal(w, c, denial), nil
	case err != nil:
		return nil, failure(err)
	case x.Streaming() && !w.Way.Observe:
		return withFigures(c), nil
	default:
		return c.Result, nil
	}
}

// mostName bounds, in bytes, what of a call's own words is kept for good: the
// journal is not a caller's storage.
const mostName = 500

func tooLong(what string, n int) error {
	return &mcp.Error{Code: mcp.CodeInvalidParams, Message: fmt.Sprintf("%s has %d bytes; at most %d are accepted", what, n, mostName)}
}

// newCall reads what the gate must know out of params, which stay as they are.
func (a *agents) newCall(w *World, who identity, x *mcp.Exchange, params json.RawMessage) (*gate.Call, error) {
	tool, ok := mcp.Text(mcp.Field(params, "name"))
	if !ok || tool == "" {
		return nil, &mcp.Error{Code: mcp.CodeInvalidParams, Message: `params.name must be the name of a tool, such as {"name":"echo","arguments":{}}`}
	}
	if len(tool) > mostName {
		return nil, tooLong("params.name", len(tool))
	}
	run := x.HTTP.Header.Get("X-Run-Id")
	if len(run) > mostName {
		return nil, tooLong("the header X-Run-Id", len(run))
	}
	args := mcp.Field(params, "arguments")
	if args != nil && args[0] != '{' && string(args) != "null" {
		return nil, &mcp.Error{Code: mcp.CodeInvalidParams, Message: "params.arguments must be an object"}
	}
	c := &gate.Call{Terms: who.terms, Refused: who.refused, Addr: who.addr, Args: args, Header: x.HTTP.Header.Get}
	c.ID = a.s.callID()
	c.Tool = tool
	c.In = int64(len(args))
	c.Dims = w.prices.dims.read(c.Tool, c.Args)
	c.IP = who.addr.String()
	c.Run = run
	if t := who.terms; t != nil {
		c.Key, c.Payer, c.Group, c.Plan, c.Tags = t.ID, t.Payer, t.Group, t.Plan, t.Tags
	}
	return c, nil
}

// failure is what an agent is told when its call got no answer. The text names
// what happened to the server, which is the caller's business, and nothing of
// ours.
func failure(err error) error {
	var rpc *mcp.Error
	if errors.As(err, &rpc) {
		return rpc
	}
	if errors.Is(err, mcp.ErrLost) {
		return &mcp.Error{Code: mcp.CodeInternal, Message: err.Error()}
	}
	if errors.Is(err, ledger.ErrUnavailable) || errors.Is(err, ledger.ErrBusy) {
		return &mcp.Error{Code: mcp.CodeInternal, Message: "the gateway cannot record calls now, so it serves none; this one was not charged, try again in a moment"}
	}
	return err
}

func (w *World) free(method string) bool {
	return slices.Contains(w.freeMethods, method) || strings.HasSuffix(method, "/list") && !strings.HasPrefix(method, "tasks/") ||
		strings.HasPrefix(method, "notifications/")
}
