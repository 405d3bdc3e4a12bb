package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"paygate/pricing"
	"paygate/server/mcp"
	"paygate/store/ledger"
)

// Calls that outlive their request: a server that asks for more input first
// (input_required), and tasks. Their hold becomes durable, so that a kill
// between the rounds neither loses nor doubles the charge, and ends when the
// call completes, is cancelled, or its time is over.
const (
	inputTTL = 10 * time.Minute // how long an input_required answer may be answered
	taskTTL  = 24 * time.Hour   // at most, whatever the server says
	// Grace is how much longer than its task's time a hold lasts: meanwhile the
	// server is asked how a task ended that nobody has asked about.
	Grace = 30 * time.Second
)

// pending is a call whose result is not its end.
type pending struct {
	task  string // the server's task id; empty for input_required
	until time.Duration
}

// pending says whether the answer is only the first of several.
func (c *Call) pending(err error) *pending {
	if err != nil || c.Result == nil || c.Result.Result == nil {
		return nil
	}
	switch k := mcp.KindOf(c.Result.Result); k.Kind {
	case mcp.InputRequired:
		return &pending{until: inputTTL}
	case mcp.Task:
		ttl := taskTTL
		if k.TTL > 0 && k.TTL < ttl {
			ttl = k.TTL
		}
		return &pending{task: k.TaskID, until: ttl + Grace}
	}
	return nil
}

// park keeps the hold of a call that is not over and lets its interim answer
// go once the hold is on disk.
func (g *Gate) park(ctx context.Context, c *Call, p *pending) error {
	if p.task != "" {
		c.Ref = TaskRef(c.Key, p.task)
	}
	c.settling()
	wait := c.Result.Wait
	c.Here = wait != nil
	if err := g.Book.Park(context.WithoutCancel(ctx), &c.Call, g.Now().Add(p.until)); err != nil {
		c.Result = nil
		if errors.Is(err, ledger.ErrTooManyParked) {
			return g.tooMany(ctx, c)
		}
		return fmt.Errorf("call %s: %w", c.ID, err)
	}
	if p.task == "" && c.Carry != nil {
		c.Carry(c.ID)
	}
	if wait != nil {
		wait.Then(func() { g.abandon(c.ID) })
	}
	return nil
}

// abandon ends a call that waits for its client and whose server can answer no
// more. One that is being answered hears of it from the server itself.
func (g *Gate) abandon(id string) {
	parked, ok := g.Book.Parked(id)
	if !ok {
		return
	}
	c := &Call{}
	c.Call = *parked
	c.Took = g.Now().Sub(c.At)
	c.Outcome, c.Class, c.Error = pricing.Lost, "upstream_error", "the server ended while the call waited for its client"
	c.Settlement = g.Book.Settle(&c.Call)
	g.trace(c)
}

// tooMany ends a call that may not wait.
func (g *Gate) tooMany(ctx context.Context, c *Call) error {
	err := &mcp.Error{Code: CodeConcurrency, Message: fmt.Sprintf("%d calls of this key wait for input or run as tasks, which is as many as may; answer or cancel some. This one was ended and not charged", ledger.MostParked)}
	c.judge(err)
	c.settling()
	c.Settlement = g.Book.Settle(&c.Call)
	if waited := g.Book.Wait(context.WithoutCancel(ctx), c.Settlement.Seq); waited != nil {
		return fmt.Errorf("call %s: %w", c.ID, waited)
	}
	return err
}

// resume goes on with a parked call: it takes no new hold, no rate slot and no
// quota, and pays by the sheet it was admitted under.
func (g *Gate) resume(ctx context.Context, w *Way, c *Call) error {
	parked, ok := g.Book.Parked(c.Resumes)
	if ok && (parked.Key != c.Key || parked.Tool != c.Tool) {
		g.Book.Leave(c.Resumes)
		ok = false
	}
	if !ok {
		return &mcp.Error{Code: mcp.CodeInvalidParams, Message: "requestState belongs to no call that waits for input: it is being answered, or was answered, cancelled or expired, or its server has ended; call the tool anew"}
	}
	c.Call = *parked
	return g.run(ctx, w, c)
}

// Observe looks at the answer to a tasks/* request and settles the call that
// began the task once the task has ended: at its price when it completed, at
// nothing when it was cancelled, by the sheet when it failed. What the answer
// leaves open is asked of the server.
func (g *Gate) Observe(ctx context.Context, key string, req, res *mcp.Message, ask Asker) error {
	state, ok := mcp.TaskOf(req, res)
	if !ok || !state.Ended() && req.Method != "tasks/cancel" {
		return nil
	}
	parked, ok := g.Book.ParkedRef(TaskRef(key, state.TaskID))
	if !ok {
		return nil
	}
	if state = learn(ctx, state, req, ask); !state.Ended() {
		g.Book.Leave(parked.ID)
		return nil
	}
	c := &Call{}
	c.Call = *parked
	c.Took = g.Now().Sub(c.At)
	switch state.Status {
	case mcp.TaskCompleted:
		c.Outcome, c.Class, c.Out = pricing.OK, "ok", int64(len(state.Result))
		c.reported(state.Result)
		if mcp.IsToolError(state.Result) {
			c.Outcome, c.Class = pricing.Failed, "tool_error"
		}
	case mcp.TaskFailed:
		c.Outcome, c.Class, c.Error = pricing.Failed, "upstream_error", "the task failed"
	default:
		c.Outcome, c.Class, c.Error = pricing.Lost, "cancelled", "the task was cancelled"
	}
	c.Settlement = g.Book.Settle(&c.Call)
	defer g.trace(c)
	if err := g.Book.Wait(context.WithoutCancel(ctx), c.Settlement.Seq); err != nil {
		return fmt.Errorf("task %s: %w", state.TaskID, err)
	}
	return nil
}

// Close settles a task whose time ends and that its caller may never ask about:
// as it has ended, or, when its time is over, at nothing. What gets no answer
// now may be asked again.
func (g *Gate) Close(ctx context.Context, key, task string, about json.RawMessage, over bool, ask Asker) error {
	req := &mcp.Message{ID: json.RawMessage(`"task"`), Method: "tasks/get", Params: about}
	res, err := ask(ctx, req)
	if err != nil {
		return fmt.Errorf("task %s: %w", task, err)
	}
	if err := g.Observe(ctx, key, req, res, ask); err != nil || !over {
		return err
	}
	parked, ok := g.Book.ParkedRef(TaskRef(key, task))
	if !ok {
		return nil
	}
	c := &Call{}
	c.Call = *parked
	c.Took = g.Now().Sub(c.At)
	c.Outcome, c.Class, c.Error = pricing.Lost, "expired", "the task did not complete in its time"
	c.Settlement = g.Book.Settle(&c.Call)
	g.trace(c)
	return nil
}

// Asker sends a request to the server that a task runs on.
type Asker func(context.Context, *mcp.Message) (*mcp.Message, error)

// learn asks what an answer leaves open: how a task that its client gave up
// goes on, since it may complete all the same, and in 2025-11-25 the result of
// a completed one. What cannot be learned now leaves the task going on.
func learn(ctx context.Context, state mcp.TaskState, req *mcp.Message, ask Asker) mcp.TaskState {
	about := func(method string) bool {
		m := &mcp.Message{ID: req.ID, Method: method, Params: req.Params}
		res, err := ask(ctx, m)
		if err != nil {
			return false
		}
		learned, ok := mcp.TaskOf(m, res)
		if ok {
			state = learned
		}
		return ok
	}
	if !state.Ended() && !about("tasks/get") {
		return mcp.TaskState{}
	}
	if state.Status == mcp.TaskCompleted && state.Result == nil && !about("tasks/result") {
		return mcp.TaskState{}
	}
	return state
}

// TaskRef finds a task's call again. Task ids are the server's, so they only
// mean something beside the key that was given them.
func TaskRef(key, task string) string { return key + "/" + task }
