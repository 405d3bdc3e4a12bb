package fake

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// question is what a tool asks the client.
type question struct {
	method string
	params map[string]any
	needs  string // the capability of a client that can be asked
}

// questions are what the asking tools ask, round by round.
func questions(tool string, a Args) []question {
	elicit := question{"elicitation/create", map[string]any{"message": a.Who, "requestedSchema": map[string]any{"type": "object", "properties": map[string]any{}}}, "elicitation"}
	sample := question{"sampling/createMessage", map[string]any{"messages": []any{map[string]any{"role": "user", "content": map[string]any{"type": "text", "text": a.Who}}}, "maxTokens": 10}, "sampling"}
	switch tool {
	case "ask":
		return []question{elicit}
	case "sample":
		return []question{sample}
	case "roots":
		return []question{{"roots/list", map[string]any{}, "roots"}}
	case "twice":
		return []question{elicit, sample}
	}
	return nil
}

// ask asks the client, one question after the other, and gives its answers; ok
// is false when the request has been answered already.
func (s *server) ask(ctx context.Context, m *message, list []question) (answers []json.RawMessage, ok bool) {
	if s.newEra(m) {
		return s.askInRounds(m, list)
	}
	for _, q := range list {
		answers = append(answers, s.askNow(ctx, m, q))
	}
	return answers, true
}

// askNow is a question of the old era: a request to the client.
func (s *server) askNow(ctx context.Context, m *message, q question) json.RawMessage {
	s.mu.Lock()
	s.asked++
	id := fmt.Sprintf(`"ask-%d"`, s.asked)
	c := make(chan json.RawMessage, 1)
	s.answers[id] = c
	s.mu.Unlock()
	params, _ := json.Marshal(q.params)
	s.write(m, &message{ID: json.RawMessage(id), Method: q.method, Params: params})
	select {
	case raw := <-c:
		return raw
	case <-ctx.Done():
		return nil
	case <-time.After(10 * time.Second):
		return nil
	}
}

// askInRounds is the new era's way. The state holds all that has been answered
// so far: any process can go on with it.
func (s *server) askInRounds(m *message, list []question) (answers []json.RawMessage, ok bool) {
	var p struct {
		State     string                     `json:"requestState"`
		Responses map[string]json.RawMessage `json:"inputResponses"`
	}
	_ = json.Unmarshal(m.Params, &p)
	if p.State != "" && json.Unmarshal([]byte(p.State), &answers) != nil {
		s.fail(m, -32602, "requestState is not mine", nil)
		return nil, false
	}
	if r, there := p.Responses[fmt.Sprint("q", len(answers))]; there {
		wrapped, _ := json.Marshal(map[string]json.RawMessage{"result": r})
		answers = append(answers, wrapped)
	}
	if len(answers) == len(list) {
		return answers, true
	}
	q := list[len(answers)]
	if _, declared := metaOf(m).Caps[q.needs]; !declared {
		s.fail(m, -32021, "the client cannot be asked", map[string]any{"requiredCapabilities": map[string]any{q.needs: map[string]any{}}})
		return nil, false
	}
	state, _ := json.Marshal(append([]json.RawMessage{}, answers...))
	s.answer(m, map[string]any{"resultType": "input_required", "requestState": string(state),
		"inputRequests": map[string]any{fmt.Sprint("q", len(answers)): map[string]any{"method": q.method, "params": q.params}}})
	return nil, false
}

// visit sends the user to a web page first: an error of the old era, a
// question of the new one.
func (s *server) visit(m *message, a Args) bool {
	page := map[string]any{"mode": "url", "message": a.Who, "url": "https://example.com/consent"}
	s.mu.Lock()
	been := s.asked > 0
	s.asked++
	s.mu.Unlock()
	if s.newEra(m) {
		_, ok := s.askInRounds(m, []question{{"elicitation/create", page, "elicitation"}})
		return ok
	}
	if been {
		return true
	}
	page["elicitationId"] = "visit-1"
	s.fail(m, -32042, "visit this page first", map[string]any{"elicitations": []any{page}})
	return false
}
