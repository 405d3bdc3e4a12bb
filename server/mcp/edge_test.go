package mcp_test

import (
	"net/http"
	"strings"
	"testing"

	"paygate/server/mcp"
)

func TestStatusCodes(t *testing.T) {
	t.Parallel()
	g := serve(t, &server{}, nil)
	ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	for name, c := range map[string]struct {
		body    string
		headers []string
		status  int
		holds   string
	}{
		"a ping":                  {ping, nil, 200, `"result":{}`},
		"any Accept":              {ping, []string{"Accept", "*/*"}, 200, `"result":{}`},
		"a notification":          {`{"jsonrpc":"2.0","method":"notifications/initialized"}`, nil, 202, ""},
		"no JSON":                 {`{`, nil, 400, "-32700"},
		"nothing":                 {``, nil, 400, "-32700"},
		"two values":              {ping + ping, nil, 400, "-32700"},
		"a member twice":          {`{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}`, nil, 400, "-32700"},
		"a member twice, inside":  {`{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":1,"a":2}}`, nil, 400, "-32700"},
		"invalid UTF-8":           {"{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"ping\"}", nil, 400, "-32700"},
		"too deep":                {`{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}}`, nil, 400, "-32700"},
		"no version":              {`{"id":1,"method":"ping"}`, nil, 400, "-32600"},
		"the id null":             {`{"jsonrpc":"2.0","id":null,"method":"ping"}`, nil, 400, "-32600"},
		"the id a list":           {`{"jsonrpc":"2.0","id":[1],"method":"ping"}`, nil, 400, "-32600"},
		"params a number":         {`{"jsonrpc":"2.0","id":1,"method":"x","params":3}`, nil, 400, "-32600"},
		"another content type":    {ping, []string{"Content-Type", "text/plain"}, 415, ""},
		"too big":                 {`{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":"` + strings.Repeat("x", 1<<20) + `"}}`, nil, 413, ""},
		"a strange origin":        {ping, []string{"Origin", "https://evil.example"}, 403, ""},
		"a local origin":          {ping, []string{"Origin", "http://localhost:1"}, 200, ""},
		"a rebound name":          {ping, []string{"Host", "evil.example"}, 403, ""},
		"an unknown session":      {ping, []string{"Mcp-Session-Id", "mcp_sess_0"}, 404, ""},
		"a batch":                 {`[` + ping + `,{"jsonrpc":"2.0","method":"notifications/x"}]`, nil, 200, `[{"jsonrpc":"2.0","id":1,"result":{}}]`},
		"an empty batch":          {`[]`, nil, 400, "-32600"},
		"a batch of a later year": {`[` + ping + `]`, []string{"MCP-Protocol-Version", mcp.Rev0618}, 400, "-32600"},
		"an unknown revision":     {ping, []string{"MCP-Protocol-Version", "2031-01-01"}, 400, "-32022"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := rig{t, g.e, g.url}
			status, body := g.post(c.body, c.headers...)
			if status != c.status || !strings.Contains(body, c.holds) {
				t.Errorf("%d %s, want %d with %q", status, body, c.status, c.holds)
			}
		})
	}
}

func TestIDsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	g := serve(t, &server{}, nil)
	for _, id := range []string{`0`, `-5`, `1.50`, `1e3`, `123456789012345678901234567890`, `""`, `"<a>&\u2028"`, `"é"`, `"\ud83d"`} {
		_, body := g.post(`{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"a":"<b>&","n":1.00}}`)
		if want := `{"jsonrpc":"2.0","id":` + id + `,"result":{"a":"<b>&","n":1.00}}`; strings.TrimSpace(body) != want {
			t.Errorf("%s, want %s", body, want)
		}
	}
}

func TestOtherMethods(t *testing.T) {
	t.Parallel()
	g := serve(t, &server{}, nil)
	for _, c := range []struct {
		method  string
		headers []string
		status  int
	}{
		{http.MethodPut, nil, 405},
		{http.MethodGet, nil, 405},
		{http.MethodGet, []string{"MCP-Protocol-Version", mcp.Modern}, 405},
		{http.MethodGet, []string{"Mcp-Session-Id", "mcp_sess_1"}, 404},
		{http.MethodDelete, []string{"MCP-Protocol-Version", mcp.Modern}, 405},
		{http.MethodDelete, []string{"Mcp-Session-Id", "mcp_sess_1"}, 404},
	} {
		if res := g.do(c.method, "", c.headers...); res.StatusCode != c.status || c.status == 405 && res.Header.Get("Allow") == "" {
			t.Errorf("%s %v: %s, Allow %q", c.method, c.headers, res.Status, res.Header.Get("Allow"))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"jsonrpc":"2.0","id":1,"method":"ping"}`, `[{"jsonrpc":"2.0","id":"a","result":{}}]`, `{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m","data":[1]}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		messages, _, err := mcp.Parse(body, 32)
		if err != nil {
			return
		}
		for _, m := range messages {
			text := m.Append(nil)
			again, _, err := mcp.Parse(text, 40)
			if err != nil || len(again) != 1 || string(again[0].Append(nil)) != string(text) {
				t.Fatalf("%s is written as %s, which reads as %v (%v)", body, text, again, err)
			}
		}
	})
}
