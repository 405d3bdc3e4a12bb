package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// shelf is a gateway whose experiments a test brings into states.
type shelf struct {
	*gateway
	price int // of the next candidate, so that no two sheets are the same
}

// labActs are all that can be done to an experiment, by name.
func labActs() []string {
	return []string{"new", "draft", "validate", "start", "stop", "review", "schedule", "cancel", "canary", "promote", "rollback", "drop"}
}

func (s *shelf) sheet() string {
	s.price++
	return fmt.Sprintf("defaults: {per_call: %d}", s.price)
}

// ask asks for an act and gives the status and the error's sentence.
func (s *shelf) ask(act, name string) (int, string) {
	s.t.Helper()
	in, path := map[string]any{"name": name}, act
	switch act {
	case "new", "draft":
		in["sheet"], in["draft"], path = s.sheet(), act == "draft", ""
	case "schedule", "canary", "promote":
		in["override"], path = []string{"all"}, "promote"
		if act == "schedule" {
			in["at"] = time.Now().Add(time.Hour).Format(time.RFC3339)
		}
		if act == "canary" {
			in["canary"] = 60
		}
	}
	var out struct{ Error string }
	return s.try("POST", strings.TrimSuffix("/admin/shadow/"+path, "/"), in, &out), out.Error
}

// ways are the acts that bring an experiment into a state; "over" is another
// experiment that goes live.
func ways() map[string][]string {
	return map[string][]string{
		"draft":       {"draft"},
		"validated":   {"new"},
		"shadowing":   {"new", "start"},
		"reviewed":    {"new", "start", "review"},
		"scheduled":   {"new", "start", "schedule"},
		"canary":      {"new", "start", "canary"},
		"live":        {"new", "start", "promote"},
		"stopped":     {"new", "start", "stop"},
		"rolled_back": {"new", "start", "promote", "rollback"},
		"superseded":  {"new", "start", "promote", "over"},
	}
}

// bring makes a new experiment and brings it into a state.
func (s *shelf) bring(state, name string) {
	s.t.Helper()
	for _, act := range ways()[state] {
		if act == "over" {
			s.bring("live", name+"-over")
			continue
		}
		if code, text := s.ask(act, name); code/100 != 2 {
			s.t.Fatalf("%s of %s: HTTP %d %s", act, name, code, text)
		}
	}
	if got := s.is(name); got != state {
		s.t.Fatalf("%s is %s, want %s", name, got, state)
	}
}

// clear leaves nothing on its way: what is charged is rolled back, what runs is
// stopped.
func (s *shelf) clear() {
	s.t.Helper()
	for {
		var out struct {
			Experiments []struct{ Name, State string }
		}
		s.do("GET", "/admin/shadow", nil, &out, http.StatusOK)
		again := false
		for _, e := range out.Experiments {
			switch e.State {
			case "scheduled", "shadowing", "reviewed":
				s.do("POST", "/admin/shadow/stop", map[string]any{"name": e.Name}, nil, http.StatusOK)
			case "canary", "live":
				again = true
			}
		}
		if !again {
			return
		}
		s.do("POST", "/admin/shadow/rollback", map[string]any{}, nil, http.StatusOK)
	}
}

// is the state of an experiment; empty: there is none.
func (s *shelf) is(name string) string {
	s.t.Helper()
	var out struct{ Experiments []struct{ State string } }
	if s.try("GET", "/admin/shadow?name="+name, nil, &out) == http.StatusOK && len(out.Experiments) == 1 {
		return out.Experiments[0].State
	}
	return ""
}

type labEvent struct {
	ID          uint64
	Type, Actor string
	Metadata    struct{ Name string }
}

// since are the lab's events after one with a number, and the newest number.
func (s *shelf) since(id uint64) (list []string, last uint64) {
	s.t.Helper()
	last = id
	for offset := 0; ; offset += 1000 {
		var out struct{ Events []labEvent }
		s.do("GET", fmt.Sprintf("/audit?calls=false&limit=1000&offset=%d", offset), nil, &out, http.StatusOK)
		for _, e := range out.Events {
			if kind, ok := strings.CutPrefix(e.Type, "shadow."); ok && e.ID > id {
				if list = append(list, kind+" "+e.Metadata.Name); !strings.HasPrefix(e.Actor, "admin_") {
					s.t.Errorf("%s is told of %q", e.Type, e.Actor)
				}
			}
			last = max(last, e.ID)
		}
		if len(out.Events) < 1000 {
			slices.Reverse(list) // the newest came first
			return list, last
		}
	}
}

// outcome is what an act does in a state: the state then, and the events. None:
// it is refused.
type outcome struct{ state, events string }

func outcomes() map[string]map[string]outcome {
	start, stop, drop := outcome{"shadowing", "started"}, outcome{"stopped", "stopped"}, outcome{"", "dropped"}
	runs := map[string]outcome{"stop": stop, "review": {"reviewed", "reviewed"}, "schedule": {"scheduled", "reviewed scheduled"},
		"canary": {"canary", "reviewed canary"}, "promote": {"live", "reviewed promoted"}}
	return map[string]map[string]outcome{
		"draft":       {"new": {"validated", "validated"}, "draft": {"draft", "drafted"}, "validate": {"validated", "validated"}, "drop": drop},
		"validated":   {"new": {"validated", "replaced"}, "draft": {"draft", "drafted"}, "start": start, "drop": drop},
		"shadowing":   runs,
		"reviewed":    runs,
		"scheduled":   {"cancel": {"reviewed", "unscheduled"}, "stop": stop},
		"canary":      {"canary": {"canary", "canary"}, "promote": {"live", "promoted"}, "rollback": {"rolled_back", "rolled_back"}},
		"live":        {"rollback": {"rolled_back", "rolled_back"}},
		"stopped":     {},
		"rolled_back": {},
		"superseded":  {"rollback": {"live", "restored rolled_back"}}, // of what superseded it
	}
}

// Every act in every state: it leads to one state by the events that belong to
// it, each with its actor, and is so after a kill, or it is refused with a
// sentence and nothing changes.
func TestEveryActInEveryState(t *testing.T) {
	t.Parallel()
	for state, does := range outcomes() {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			s := &shelf{gateway: start(t, map[string]any{"adminRateLimit": 0}), price: 3}
			s.call(s.key(nil).Key, "echo", nil)
			s.bring(state, "still")
			seen := ""
			_, last := s.since(0)
			for _, act := range labActs() {
				if does[act].events != "" {
					continue
				}
				code, text := s.ask(act, "still")
				if code != http.StatusConflict || !s.sentence(text, state, act) {
					t.Errorf("%s: HTTP %d %q", act, code, text)
				}
				seen += text + "\n"
			}
			s.restart()
			if events, _ := s.since(last); len(events) > 0 || s.is("still") != state {
				t.Errorf("after refusals it is %s, events %q:\n%s", s.is("still"), events, seen)
			}
			for act, want := range does {
				s.clear()
				name := "by-" + act
				s.bring(state, name)
				_, last := s.since(0)
				if code, text := s.ask(act, s.target(state, act, name)); code/100 != 2 {
					t.Errorf("%s: HTTP %d %s", act, code, text)
				}
				s.restart()
				events, _ := s.since(last)
				var kinds []string
				for _, e := range events {
					kind, of, _ := strings.Cut(e, " ")
					if kinds = append(kinds, kind); of != name && of != s.target(state, act, name) {
						t.Errorf("%s: an event of %q", act, of)
					}
				}
				if got := strings.Join(kinds, " "); got != want.events || s.is(name) != want.state {
					t.Errorf("%s: it is %s by %q, want %s by %q", act, s.is(name), got, want.state, want.events)
				}
			}
			s.clear()
			if code, text := s.ask("rollback", ""); code != http.StatusConflict || !strings.Contains(text, "nothing to roll back") {
				t.Errorf("with nothing live: HTTP %d %s", code, text)
			}
			s.prove()
		})
	}
}

// target is whom an act names: only what superseded an experiment can be rolled
// back.
func (s *shelf) target(state, act, name string) string {
	if state == "superseded" && act == "rollback" {
		return name + "-over"
	}
	return name
}

// sentence says whether a refusal names the state and what to do.
func (s *shelf) sentence(text, state, act string) bool {
	word := map[string]string{"draft": "is a draft", "canary": "is in its canary", "rolled_back": "is rolled back"}[state]
	if word == "" {
		word = "is " + state
	}
	todo := strings.Contains(text, `"paygate shadow `) || strings.Contains(text, "under another name")
	return strings.Contains(text, "experiment still "+word) && todo
}

// While one experiment is on its way to live, no other sets out.
func TestOneGoesLiveAtATime(t *testing.T) {
	t.Parallel()
	for first, says := range map[string]string{"schedule": "experiment a is scheduled and goes live at", "canary": "experiment a is in its canary"} {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			s := &shelf{gateway: start(t, map[string]any{"adminRateLimit": 0}), price: 3}
			s.call(s.key(nil).Key, "echo", nil)
			s.bring("shadowing", "a")
			s.bring("shadowing", "b")
			if code, text := s.ask(first, "a"); code != http.StatusOK {
				t.Fatalf("HTTP %d %s", code, text)
			}
			was := s.is("a")
			for _, act := range []string{"schedule", "canary", "promote"} {
				if code, text := s.ask(act, "b"); code != http.StatusConflict || !strings.Contains(text, says) {
					t.Errorf("%s: HTTP %d %s", act, code, text)
				}
			}
			if s.is("a") != was || s.is("b") != "shadowing" {
				t.Errorf("they are %s and %s", s.is("a"), s.is("b"))
			}
			if first == "schedule" { // who ends it ends what is announced, too
				if text := s.page("/pricing"); !strings.Contains(text, `"next":{`) {
					t.Errorf("not announced: %s", text)
				}
				s.do("POST", "/admin/shadow/stop", map[string]any{"name": "a"}, nil, http.StatusOK)
				if text := s.page("/pricing"); strings.Contains(text, `"next":{`) {
					t.Errorf("stopped, and announced: %s", text)
				}
				if code, text := s.ask("schedule", "b"); code != http.StatusOK {
					t.Errorf("HTTP %d %s", code, text)
				}
			}
			s.prove()
		})
	}
}
