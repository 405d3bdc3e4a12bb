package fake

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// Tasks in both shapes: params.task of 2025-11-25, and the extension of
// 2026-07-28.

const tasksExtension = "io.modelcontextprotocol/tasks"

// jobs are the tasks of a server; over HTTP they outlive sessions.
type jobs struct {
	mu   sync.Mutex
	byID map[string]*job
}

type job struct {
	id     string
	until  time.Time
	ttl    int
	text   string
	fails  bool
	status string // empty until it has ended otherwise than by itself
}

// begin makes a tools/call a task, if its client wants one.
func (s *server) begin(m *message, a Args) bool {
	var p struct {
		Task *struct{ TTL int } `json:"task"`
	}
	_ = json.Unmarshal(m.Params, &p)
	modern := s.newEra(m)
	ttl := a.N
	if modern {
		var extensions map[string]json.RawMessage
		_ = json.Unmarshal(metaOf(m).Caps["extensions"], &extensions)
		if extensions[tasksExtension] == nil {
			return false
		}
	} else {
		if p.Task == nil {
			return false
		}
		ttl = p.Task.TTL
	}
	if ttl == 0 {
		ttl = 60_000
	}
	s.jobs.mu.Lock()
	j := &job{id: fmt.Sprintf("job-%d-%d", time.Now().UnixNano(), len(s.jobs.byID)), until: time.Now().Add(time.Duration(a.Ms) * time.Millisecond), ttl: ttl, text: a.Text, fails: a.Code != 0}
	s.jobs.byID[j.id] = j
	s.jobs.mu.Unlock()
	if modern {
		result := j.about(true)
		result["resultType"] = "task"
		s.answer(m, result)
		return true
	}
	s.answer(m, map[string]any{"task": j.about(false)})
	return true
}

// about is a task as tasks/get tells.
func (j *job) about(modern bool) map[string]any {
	now := time.Now().UTC().Format(time.RFC3339)
	out := map[string]any{"taskId": j.id, "status": j.state(), "createdAt": now, "lastUpdatedAt": now}
	if !modern {
		out["ttl"], out["pollInterval"] = j.ttl, 50
		return out
	}
	out["ttlMs"], out["pollIntervalMs"] = j.ttl, 50
	if j.state() == "completed" {
		out["result"] = j.result()
	}
	return out
}

func (j *job) state() string {
	switch {
	case j.status != "":
		return j.status
	case time.Now().Before(j.until):
		return "working"
	case j.fails:
		return "failed"
	}
	return "completed"
}

func (j *job) result() map[string]any {
	return map[string]any{"content": []any{map[string]any{"type": "text", "text": j.text}}}
}

func (s *server) task(ctx context.Context, m *message) bool {
	var p struct {
		ID string `json:"taskId"`
	}
	_ = json.Unmarshal(m.Params, &p)
	modern := s.newEra(m)
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	j := s.jobs.byID[p.ID]
	switch {
	case m.Method == "tasks/list" && !modern:
		all := []map[string]any{}
		for _, j := range s.jobs.byID {
			all = append(all, j.about(false))
		}
		s.answer(m, map[string]any{"tasks": all})
		return true
	case m.Method != "tasks/get" && m.Method != "tasks/cancel" && (m.Method != "tasks/result" || modern):
		return false
	case j == nil:
		s.fail(m, -32602, "no such task", nil)
		return true
	case m.Method == "tasks/cancel" && j.state() == "working":
		j.status = "cancelled"
	case m.Method == "tasks/result":
		wait := time.Until(j.until)
		s.jobs.mu.Unlock()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		s.jobs.mu.Lock()
		s.answer(m, j.result())
		return true
	}
	s.finish(m, j.about(modern), false)
	return true
}
