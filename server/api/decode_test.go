package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"paygate/server/api"
)

type in struct {
	Name   string         `json:"name" query:"name"`
	Number api.Number     `json:"number" query:"number"`
	Text   api.Text       `json:"text"`
	List   []string       `json:"list"`
	Tags   map[string]any `json:"tags"`
	Group  *string        `query:"group"`
}

// decoded gives what a route's function gets of a body and a query.
func decoded(t *testing.T, body string, query map[string][]string) (got in, answer string, err error) {
	t.Helper()
	r := api.Handle("POST", "/x", api.Public, "", func(_ context.Context, i in) (map[string]int, error) {
		got = i
		return map[string]int{"ok": 1}, nil
	})
	out, err := r.Do(context.Background(), &api.Request{Body: []byte(body), Query: query})
	if err != nil {
		return got, "", err
	}
	text, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return got, string(text), nil
}

func TestNumbersComeAsNumbersOrAsText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text         string
		given, valid bool
		or           int64
	}{{`5`, true, true, 5}, {`"5"`, true, true, 5}, {`5.9`, true, true, 5}, {`-2`, true, true, 0}, {`1e30`, true, true, 100}, {`"x"`, true, false, 7}, {`true`, true, false, 7},
		{`null`, false, false, 7}, {`{}`, true, false, 7}, {`"NaN"`, true, false, 7}, {`"1e999"`, true, false, 7}} {
		got, _, err := decoded(t, `{"number":`+c.text+`}`, nil)
		if n := got.Number; err != nil || n.Given != c.given || n.Valid != c.valid || n.Or(7, 0, 100) != c.or || n.Text != strings.HasPrefix(c.text, `"`) {
			t.Errorf("%s is %+v, %v", c.text, n, err)
		}
	}
	if got, _, _ := decoded(t, "", map[string][]string{"number": {"12"}, "name": {"a", "b"}, "group": {""}}); got.Number.Or(0, 0, 100) != 12 || got.Name != "a" || got.Group == nil || *got.Group != "" {
		t.Errorf("of the query: %+v", got)
	}
}

func TestWhatWasLeftOutIsToldApartFromNull(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]api.Text{`{}`: {}, `{"text":null}`: {Given: true}, `{"text":""}`: {Given: true}, `{"text":"a"}`: {Given: true, Value: "a"}} {
		if got, _, err := decoded(t, body, nil); err != nil || got.Text != want {
			t.Errorf("%s: %+v, %v", body, got.Text, err)
		}
	}
}

func TestUnknownMembersAreNamedAndDoNoHarm(t *testing.T) {
	t.Parallel()
	_, answer, err := decoded(t, `{"name":"a","nome":1,"__proto__":{}}`, nil)
	if err != nil || !strings.Contains(answer, `"ok":1`) || !strings.Contains(answer, `nome`) || !strings.Contains(answer, `__proto__`) {
		t.Errorf("%s %v", answer, err)
	}
}

// FuzzBody holds that every body is decoded or refused as the client's mistake.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{"", "{}", "null", "[]", `{"name":1}`, `{"number":"1"}`, `{"list":[1]}`, `{"tags":{"a":{"b":[]}}}`, `{"a":1,"a":2}`, "{\"name\":\"\xff\"}", `{"text":[]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		_, answer, err := decoded(t, body, nil)
		var e *api.Error
		if err != nil && (!errors.As(err, &e) || e.Status != http.StatusBadRequest || e.Message == "") {
			t.Fatalf("%q: %v", body, err)
		}
		if err == nil && !json.Valid([]byte(answer)) {
			t.Fatalf("%q is answered %q", body, answer)
		}
	})
}
