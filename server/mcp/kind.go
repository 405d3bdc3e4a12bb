package mcp

import (
	"bytes"
	"encoding/json"
	"math"
	"time"

	"github.com/tidwall/gjson"
)

// ResultKind says whether a result is the end of its call.
type ResultKind uint8

// The kinds of results.
const (
	Complete      ResultKind = iota
	InputRequired            // the server asks for more before it goes on
	Task                     // the server goes on by itself; its task tells how it ends
)

// Kind is what a result says of its call.
type Kind struct {
	Kind   ResultKind
	TaskID string
	TTL    time.Duration // of the task; 0: the server does not say
}

// KindOf looks at a result: «resultType» of 2026-07-28, or the task of a
// 2025-11-25 result.
func KindOf(result json.RawMessage) Kind {
	switch kind, _ := Text(Field(result, "resultType")); kind {
	case "input_required":
		return Kind{Kind: InputRequired}
	case "task":
		return Kind{Kind: Task, TaskID: gjson.GetBytes(result, "taskId").Str, TTL: ttl(gjson.GetBytes(result, "ttlMs"))}
	case "":
		task := Field(result, "task")
		if id, ok := Text(Field(task, "taskId")); ok {
			return Kind{Kind: Task, TaskID: id, TTL: ttl(gjson.GetBytes(task, "ttl"))}
		}
	}
	return Kind{}
}

func ttl(ms gjson.Result) time.Duration { return time.Duration(ms.Int()) * time.Millisecond }

// IsToolError says whether a result says that its tool failed.
func IsToolError(result json.RawMessage) bool {
	return string(Field(result, "isError")) == "true"
}

// Reported is what a server says in a result's _meta that a call used and cost
// it: whole numbers from 0 to most, under "paygate/units" and "paygate/cost".
func Reported(result json.RawMessage, most int64) (units, cost int64) {
	if !bytes.Contains(result, []byte(`"paygate/`)) { // nearly always
		return 0, 0
	}
	meta := gjson.GetBytes(result, "_meta")
	number := func(name string) int64 {
		n := meta.Get(name)
		if n.Type != gjson.Number || n.Num < 0 || n.Num > float64(most) || n.Num != math.Trunc(n.Num) {
			return 0
		}
		return n.Int()
	}
	return number("paygate/units"), number("paygate/cost")
}

// TaskState is how a task is doing, as an answer to tasks/* tells.
type TaskState struct {
	TaskID string
	Status string
	Result json.RawMessage // of a completed task, if the answer has it
}

// The states in which a task has ended.
const (
	TaskCompleted = "completed"
	TaskFailed    = "failed"
	TaskCancelled = "cancelled"
)

// Ended says whether the task has ended.
func (t TaskState) Ended() bool {
	return t.Status == TaskCompleted || t.Status == TaskFailed || t.Status == TaskCancelled
}

// TaskOf reads a task's state out of the answer to a tasks/* request.
func TaskOf(req, res *Message) (TaskState, bool) {
	if res == nil || res.Result == nil {
		return TaskState{}, false
	}
	t := TaskState{TaskID: gjson.GetBytes(req.Params, "taskId").Str, Status: gjson.GetBytes(res.Result, "status").Str}
	if t.TaskID == "" {
		return t, false
	}
	switch {
	case req.Method == "tasks/result": // 2025-11-25: the answer is the result itself
		t.Status, t.Result = TaskCompleted, res.Result
	case t.Status == TaskCompleted:
		if r := gjson.GetBytes(res.Result, "result"); r.IsObject() {
			t.Result = json.RawMessage(r.Raw)
		}
	case req.Method == "tasks/cancel" && t.Status == "": // heard, and nothing said of what became of it
		return t, true
	}
	return t, t.Status != ""
}
