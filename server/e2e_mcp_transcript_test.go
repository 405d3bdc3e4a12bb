package server_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// transcript is what testdata/clients/record.mjs saw.
type transcript struct {
	Steps   []map[string]any // what the client did and what its SDK gave it
	Answers map[string]any   // on the wire, by the client's own id
	Heard   map[string][]any // notifications and requests of the server, by method

	prices int            // how many prices were taken out
	varies *regexp.Regexp // times of day and ids that servers make up
}

// settle takes out what differs from run to run, and the prices.
func (s *transcript) settle() {
	s.varies = regexp.MustCompile(`\d{1,2}:\d\d:\d\d( [AP]M)?|\d{4}-\d\d-\d\dT[\d:.]+Z|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|\b[0-9a-f]{32}\b`)
	for i := range s.Steps {
		s.Steps[i], _ = s.value(s.Steps[i]).(map[string]any)
	}
	for id := range s.Answers {
		s.Answers[id] = s.value(s.Answers[id])
		if text := fmt.Sprint(s.Answers[id]); strings.Contains(text, "pollInterval") || strings.Contains(text, "related-task") {
			delete(s.Answers, id) // how often a task is asked for is a matter of time; the step has its result
		}
	}
	for method := range s.Heard {
		for i := range s.Heard[method] {
			s.Heard[method][i] = s.value(s.Heard[method][i])
		}
	}
	s.afterCancel()
}

// afterCancel forgets what comes of calls that were given up: how much of their
// progress still arrives is a race, and over HTTP the gateway ends them with an
// error, so that the client's exchange ends too.
func (s *transcript) afterCancel() {
	for id, a := range s.Answers {
		if failed, _ := a.(map[string]any)["error"].(map[string]any); failed != nil && strings.HasPrefix(fmt.Sprint(failed["message"]), "the call was given up") {
			delete(s.Answers, id)
		}
	}
	var kept []any
	for _, n := range s.Heard["notifications/progress"] {
		params, _ := n.(map[string]any)
		if _, answered := s.Answers[fmt.Sprint(params["progressToken"])]; answered {
			kept = append(kept, n)
		}
	}
	if s.Heard != nil {
		s.Heard["notifications/progress"] = kept
	}
}

func (s *transcript) value(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return s.object(v)
	case []any:
		for i := range v {
			v[i] = s.value(v[i])
		}
	case string:
		if len(v) > 5000 {
			return fmt.Sprintf("%d bytes, %x", len(v), sha256.Sum256([]byte(v)))
		}
		return s.varies.ReplaceAllString(v, "…")
	}
	return v
}

func (s *transcript) object(v map[string]any) any {
	if _, priced := v["_pricing"]; priced {
		s.prices++
		delete(v, "_pricing")
	}
	if _, list := v["tools"].([]any); list {
		delete(v, "cacheScope") // prices may be a key's own, so a list with them is private
	}
	if text, ok := v["text"].(string); ok && len(text) < 4 && strings.Trim(text, "0123456789") == "" {
		v["text"] = "…" // a tool that says its progress token, which is not the client's own
	}
	if meta, ok := v["_meta"].(map[string]any); ok {
		if delete(meta, "paygate"); len(meta) == 0 {
			delete(v, "_meta")
		}
	}
	if _, tools := v["tools"].([]any); tools {
		delete(v, "cacheScope") // a list with prices is its caller's own
	}
	if _, binary := v["blob"]; binary {
		v["blob"] = "…"
	}
	for name := range v {
		v[name] = s.value(v[name])
	}
	return v
}

// of is the part of a transcript that a line of the SDK must find the same. A
// client that asks for the newest revision speaks another one to the gateway
// than to an older server, so that only what its SDK gives it counts.
func (s *transcript) of(line string) map[string]any {
	if line == "v2auto" {
		for _, step := range s.Steps {
			oneEra(step)
		}
		return map[string]any{"steps": s.Steps}
	}
	return map[string]any{"steps": s.Steps, "answers": s.Answers, "heard": s.Heard}
}

// facts are a transcript's single values by where they stand, in what a line of
// the SDK must find the same. What a server says of its own accord stands there
// with how often it was said: the order is a matter of time.
func (s *transcript) facts(line string) map[string]string {
	out := map[string]string{}
	for part, v := range s.of(line) {
		heard, ok := v.(map[string][]any)
		if !ok {
			spread(out, part, v)
			continue
		}
		said := map[string]int{}
		for method, all := range heard {
			for _, m := range all {
				text, _ := json.Marshal(m) // it came as JSON
				said[method+" "+string(text)]++
			}
		}
		for what, n := range said {
			out["heard/"+what] = fmt.Sprintf("%d times", n)
		}
	}
	return out
}

func spread(out map[string]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			spread(out, path+"/"+name, v[name])
		}
		if len(v) > 0 {
			return
		}
	case []any:
		for i := range v {
			spread(out, fmt.Sprintf("%s/%d", path, i), v[i])
		}
		if len(v) > 0 {
			return
		}
	case []map[string]any:
		for i := range v {
			spread(out, fmt.Sprintf("%s/%d", path, i), v[i])
		}
		return
	}
	text, _ := json.Marshal(v)
	out[path] = string(text)
}

// once forgets how often and in which order the server's messages came: npm's
// everything server repeats itself over HTTP, without anything between.
func (s *transcript) once() {
	for method, all := range s.Heard {
		kept := map[string]any{}
		for _, m := range all {
			kept[fmt.Sprint(m)] = m
		}
		s.Heard[method] = nil
		for _, name := range slices.Sorted(maps.Keys(kept)) {
			s.Heard[method] = append(s.Heard[method], kept[name])
		}
	}
}

// oneEra drops what only one of the eras says of a thing: experimental tasks
// here, hints for caches and the server's name in every answer there.
func oneEra(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, only := range []string{"tasks", "execution", "ttlMs", "cacheScope"} {
			delete(v, only)
		}
		if text, ok := v["text"].(string); ok && len(text) < 4 && strings.Trim(text, "0123456789") == "" {
			v["text"] = "…" // a tool that says its progress token, which is not the client's own
		}
		if meta, ok := v["_meta"].(map[string]any); ok {
			if delete(meta, "io.modelcontextprotocol/serverInfo"); len(meta) == 0 {
				delete(v, "_meta")
			}
		}
		for _, member := range v {
			oneEra(member)
		}
	case []any:
		for _, item := range v {
			oneEra(item)
		}
	}
}
