package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"paygate/server/mcp"
)

// The tests in this file are of the inside: what parses bytes that others
// control.

func TestParse(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]mcp.Message{
		`{"jsonrpc":"2.0","id":1,"result":{"a":1}}`:                         {ID: json.RawMessage("1"), Result: json.RawMessage(`{"a":1}`)},
		` {"result" : [1, "}"] , "id":"x"} ` + "\r":                         {ID: json.RawMessage(`"x"`), Result: json.RawMessage(`[1, "}"]`)},
		`{"method":"a\u002fb","params":{"x":"\\\""}}`:                       {Method: "a/b", Params: json.RawMessage(`{"x":"\\\""}`)},
		`{"id":null,"error":{"code":-5,"message":"m","data":[1]}, "id": 7}`: {ID: json.RawMessage("7"), Error: &mcp.Error{Code: -5, Message: "m", Data: json.RawMessage("[1]")}},
	} {
		got, err := parse([]byte(line))
		if err != nil || len(got) != 1 {
			t.Errorf("%s: %v %v", line, got, err)
			continue
		}
		if m := got[0]; string(m.ID) != string(want.ID) || m.Method != want.Method || string(m.Params) != string(want.Params) || string(m.Result) != string(want.Result) || (m.Error == nil) != (want.Error == nil) {
			t.Errorf("%s: %+v", line, m)
		}
	}
	for _, line := range []string{"", "x", "{}", "[1]", `"a"`, `{"id":1}`, `{"id":1,"result":`, `{"method":5}`, `{"result":{}}`, `{"id":1,"result":{}}}`} {
		if got, err := parse([]byte(line)); err == nil {
			t.Errorf("%q: %+v", line, got[0])
		}
	}
	if got, err := parse([]byte(`[{"id":1,"result":1},{"method":"m"}]`)); err != nil || len(got) != 2 {
		t.Errorf("batch: %v %v", got, err)
	}
}

func TestSplice(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"name":"x","_meta":{"progressToken":"mine","a":1}}`:            `{"name":"x","_meta":{"progressToken":42,"a":1}}`,
		`{"_meta" : { "progressToken" : {"odd":[1]} } , "z":1}`:          `{"_meta" : { "progressToken" : 42 } , "z":1}`,
		`{"_met\u0061":{"PROGRESSTOKEN":1},"_meta":{"progressToken":2}}`: `{"_met\u0061":{"PROGRESSTOKEN":42},"_meta":{"progressToken":42}}`,
		`{"arguments":{"_meta":{"progressToken":1},"progressToken":2}}`:  `{"arguments":{"_meta":{"progressToken":1},"progressToken":2}}`,
		`{"_meta":null}`: `{"_meta":null}`,
		`[]`:             `[]`,
		``:               ``,
	} {
		if got, _ := splice(json.RawMessage(in), []byte("42"), "_meta", "progressToken"); string(got) != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"result":{"a":[1,"\u00e9\"",{}],"b":null}}`))
	f.Add([]byte(`[{"method":"x","params":{"_meta":{"progressToken":1}}}]`))
	f.Add([]byte("{\"id\":1,\"error\":{\"code\":1}}\xff"))
	f.Fuzz(func(_ *testing.T, line []byte) {
		long := tooLong{head: line, tail: line}
		long.id()
		msgs, err := parse(line)
		if err != nil {
			return
		}
		for _, m := range msgs {
			if !json.Valid(appendMessage(nil, m, m.ID)) {
				panic("a message that was read cannot be written")
			}
		}
	})
}

// What members finds is what encoding/json finds, and splice changes nothing
// but what it should.
func FuzzSplice(f *testing.F) {
	f.Add([]byte(`{"_meta":{"progressToken":"x"},"a":[{"b":"}"}]}`))
	f.Add([]byte(`{ "a" : -1.5e3 , "b":true,"c":"\\" }`))
	f.Fuzz(func(t *testing.T, obj []byte) {
		for range mcp.Members(obj) { // must not panic, whatever it is
			continue
		}
		var want map[string]json.RawMessage
		if json.Unmarshal(obj, &want) != nil || want == nil {
			return
		}
		got := map[string]string{}
		for key, at := range mcp.Members(obj) {
			var name string
			if err := json.Unmarshal(append(append([]byte{'"'}, key...), '"'), &name); err != nil {
				t.Fatal(err)
			}
			got[name] = string(obj[at.From:at.To])
		}
		for name, value := range want {
			if got[name] != string(value) {
				t.Fatalf("%q is %q, want %q", name, got[name], value)
			}
		}
		out, old := splice(obj, []byte(`"new"`), "_meta", "progressToken")
		if !json.Valid(out) || old == nil && !bytes.Equal(out, obj) {
			t.Fatalf("%s became %s", obj, out)
		}
		if set := set(obj, "description", "d"); !json.Valid(set) {
			t.Fatalf("%s became %s", obj, set)
		}
	})
}

func FuzzEvents(f *testing.F) {
	f.Add("id: 1\nevent: message\ndata: {}\n\ndata: a\ndata: b\n\nretry: 10\n\n")
	f.Fuzz(func(t *testing.T, stream string) {
		ev := newEvents(strings.NewReader(stream), 1<<10, wide)
		for {
			data, err := ev.next()
			if errors.Is(err, io.EOF) || errors.Is(err, errEventTooLong) {
				return
			}
			if err != nil || len(data) == 0 || len(data) > 4<<10 {
				t.Fatalf("%q %v", data, err)
			}
		}
	})
}

func FuzzParseCommand(f *testing.F) {
	f.Add(`npx -y "a b" 'c' d\ e`)
	f.Fuzz(func(t *testing.T, line string) {
		words, err := ParseCommand(line)
		if (err == nil) == (len(words) == 0) {
			t.Fatalf("%q: %q %v", line, words, err)
		}
	})
}
