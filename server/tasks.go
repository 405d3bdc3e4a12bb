package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"paygate/server/gate"
	"paygate/server/mcp"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// taskRecord says whose a task is. A server behind the gateway may be one for
// many callers and answers whoever names a task; the gateway does not.
type taskRecord struct {
	Ref     string    `json:"ref"` // key and task id
	At      time.Time `json:"at"`
	Session string    `json:"session,omitempty"` // that it was begun in
	Modern  bool      `json:"modern,omitempty"`  // of the shape of 2026-07-28
}

func taskTable() store.Table[taskRecord] {
	return store.Table[taskRecord]{Name: "tasks", ID: func(t *taskRecord) string { return t.Ref }}
}

// taskOwners keeps them beside the books.
type taskOwners struct {
	book *ledger.Book
	made atomic.Int64
}

const (
	mostTaskAge = 48 * time.Hour // longer than any task's hold
	purgeEvery  = 1000           // tasks made
)

// remember keeps the task that a call has become, before its caller hears of it.
func (o *taskOwners) remember(ctx context.Context, c *gate.Call, x *mcp.Exchange) error {
	if o.made.Add(1)%purgeEvery == 0 {
		if err := o.purge(ctx); err != nil {
			return err
		}
	}
	return o.book.Apply(context.WithoutCancel(ctx), func(tx *ledger.Tx) error {
		return taskTable().Put(tx, &taskRecord{Ref: c.Ref, At: tx.Now(), Session: x.Session, Modern: x.Modern})
	})
}

func (o *taskOwners) owns(key, task string) (bool, error) {
	_, err := o.find(gate.TaskRef(key, task))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (o *taskOwners) find(ref string) (record taskRecord, err error) {
	err = o.book.DB().View(func(snap *store.Snapshot) error {
		found, err := taskTable().Get(snap, ref)
		if err == nil {
			record = *found
		}
		return err
	})
	return record, err
}

// purge forgets tasks that no server keeps any more.
func (o *taskOwners) purge(ctx context.Context) error {
	return o.book.Apply(ctx, func(tx *ledger.Tx) error {
		var old []string
		for r, err := range taskTable().All(tx, "") {
			if err != nil {
				return err
			}
			if tx.Now().Sub(r.At) > mostTaskAge {
				old = append(old, r.Ref)
			}
		}
		for _, ref := range old {
			if err := taskTable().Delete(tx, ref); err != nil {
				return err
			}
		}
		return nil
	})
}

// tasks passes on what a key asks about its tasks; others' do not exist for it.
func (a *agents) tasks(ctx context.Context, key string, x *mcp.Exchange) (*mcp.Message, error) {
	if id := gjson.GetBytes(x.Request.Params, "taskId"); id.Exists() {
		mine, err := a.s.tasks.owns(key, id.Str)
		if err != nil {
			return nil, fmt.Errorf("task: %w", err)
		}
		if !mine {
			return nil, &mcp.Error{Code: mcp.CodeInvalidParams, Message: "no such task: it has ended long ago, or belongs to another key"}
		}
	}
	res, err := x.Forward(ctx, x.Request)
	if err != nil {
		return nil, failure(err)
	}
	if x.Request.Method == "tasks/list" {
		return a.ownTasks(key, res)
	}
	return res, a.s.gate.Observe(ctx, key, x.Request, res, x.Forward)
}

// ownTasks leaves in a list what is the key's.
func (a *agents) ownTasks(key string, res *mcp.Message) (*mcp.Message, error) {
	if res.Result == nil {
		return res, nil
	}
	own := []json.RawMessage{}
	for _, task := range gjson.GetBytes(res.Result, "tasks").Array() {
		mine, err := a.s.tasks.owns(key, task.Get("taskId").Str)
		if err != nil {
			return nil, fmt.Errorf("tasks: %w", err)
		}
		if mine {
			own = append(own, json.RawMessage(task.Raw))
		}
	}
	text, err := json.Marshal(own)
	if err != nil {
		return nil, fmt.Errorf("tasks: %w", err)
	}
	out := *res
	if out.Result, err = sjson.SetRawBytes(res.Result, "tasks", text); err != nil {
		return nil, fmt.Errorf("tasks: %w", err)
	}
	return &out, nil
}

// The time of a task is looked at every second; from early before its end on,
// the server is asked how it ended, a few at once and not for long.
const (
	early       = 5 * time.Second
	askPatience = 5 * time.Second
	asksAtOnce  = 16
)

// closeTasks settles the tasks that nobody asks about, until ctx ends.
func (s *Server) closeTasks(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		var asking sync.WaitGroup
		room := make(chan struct{}, asksAtOnce)
		for _, h := range s.book.Running(s.opts.Now().Add(gate.Grace + early)) {
			room <- struct{}{}
			asking.Go(func() {
				defer func() { <-room }()
				if err := s.closeTask(ctx, h); err != nil && ctx.Err() == nil {
					s.opts.Log.Debug("a task whose time ends", "call", h.ID, "error", err)
				}
			})
		}
		asking.Wait()
	}
}

func (s *Server) closeTask(ctx context.Context, h journal.Hold) error {
	record, err := s.tasks.find(h.Memo)
	if err != nil {
		return fmt.Errorf("task %s: %w", h.Memo, err)
	}
	task := strings.TrimPrefix(h.Memo, h.Key+"/")
	about := map[string]any{"taskId": task}
	if record.Modern {
		about["_meta"] = map[string]any{"io.modelcontextprotocol/protocolVersion": mcp.Modern,
			"io.modelcontextprotocol/clientCapabilities": map[string]any{"extensions": map[string]any{"io.modelcontextprotocol/tasks": map[string]any{}}}}
	}
	asked, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	over := !s.opts.Now().Before(h.Until.Add(-gate.Grace))
	return s.gate.Close(asked, h.Key, task, data(about), over, func(ctx context.Context, m *mcp.Message) (*mcp.Message, error) {
		return s.endpoint.Ask(ctx, h.Key, record.Session, record.Modern, m)
	})
}
