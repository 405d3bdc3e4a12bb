package server_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// All that figures are computed from can be had, with the sheets, whose hashes
// are those of their texts.
func TestEveryRecordedFactCanBeExported(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(map[string]any{"credits": 3})
	g.do("POST", "/admin/shadow", map[string]any{"name": "five", "sheet": "defaults: {per_call: 5}"}, nil, http.StatusCreated)
	g.call(k.Key, "echo", map[string]any{"text": "x"})
	g.restart()
	g.call(k.Key, "echo", nil)
	out, code := g.command("shadow", "export", "--facts", "--url", g.url, "--admin-key", adminKey)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	sheets, last, reasons := 0, 0, ""
	for line := range strings.Lines(out) {
		var l struct {
			Seq   int
			Type  string
			Sheet struct{ Hash, Text string }
			Call  *struct {
				Charged, In, AdmitSeq int
				Reasons               []string
			}
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if l.Type == "sheet" {
			if sum := sha256.Sum256([]byte(l.Sheet.Text)); hex.EncodeToString(sum[:]) != l.Sheet.Hash {
				t.Errorf("the hash is not that of the text: %s", line)
			}
			sheets++
			continue
		}
		if l.Seq != last+1 {
			t.Errorf("act %d follows on %d", l.Seq, last)
		}
		if last = l.Seq; l.Call != nil {
			reasons += fmt.Sprint(l.Type, l.Call.Charged, l.Call.In, l.Call.Reasons, " ")
		}
	}
	if sheets != 2 || reasons != "admit0 12 [] call2 12 [] call0 4 [insufficient_credits] " {
		t.Errorf("%d sheets, %q:\n%s", sheets, reasons, out)
	}
	if _, code := g.command("shadow", "export", "--url", g.url, "--admin-key", adminKey); code != 2 {
		t.Errorf("an export of nothing: exit %d, want 2", code)
	}
	g.do("GET", "/admin/facts?after=x", nil, nil, http.StatusBadRequest)
}
