package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"paygate/server/gate"
	"paygate/server/mcp"
	"paygate/store"
	"paygate/store/ledger"
)

// taskRecord says whose a task is. A server behind the gateway may be one for
// many callers and answers whoever names a task; the gateway does not.
type taskRecord struct {
	Ref string    `json:"ref"` // key and task id
	At  time.Time `json:"at"`
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
func (o *taskOwners) remember(ctx context.Context, c *gate.Call) error {
	if o.made.Add(1)%purgeEvery == 0 {
		if err := o.purge(ctx); err != nil {
			return err
		}
	}
	return o.book.Apply(context.WithoutCancel(ctx), func(tx *ledger.Tx) error {
		return taskTable().Put(tx, &taskRecord{Ref: c.Ref, At: tx.Now()})
	})
}

func (o *taskOwners) owns(key, task string) (bool, error) {
	err := o.book.DB().View(func(snap *store.Snapshot) error {
		_, err := taskTable().Get(snap, gate.TaskRef(key, task))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
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
