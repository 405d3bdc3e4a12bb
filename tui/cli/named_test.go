package cli_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"paygate/tui/cli"
)

// TestKeysAreKnownByTheirNames runs commands against a gateway that has keys of
// these names, and looks which key they speak of.
func TestKeysAreKnownByTheirNames(t *testing.T) {
	t.Parallel()
	var spoke string
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = w.Write([]byte(`{"keys":[{"id":"key_1","name":"acme","active":true},{"id":"key_2","name":"acme-2","active":true},
				{"id":"key_3","name":"twin","active":true},{"id":"key_4","name":"twin","active":true},{"id":"key_5","name":"gone"},{"id":"key_6","name":"x","alias":"prod","active":true}]}`))
			return
		}
		var body struct{ Key, From, To string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		spoke = strings.TrimSpace(body.Key + " " + body.From + " " + body.To)
		_, _ = w.Write([]byte(`{"message":"done"}`))
	}))
	defer gateway.Close()
	for _, tt := range []struct{ typed, want, says string }{
		{"keys suspend acme", "key_1", "done"},
		{"keys revoke prod", "key_6", "done"},
		{"keys suspend key_9", "key_9", "done"},
		{"keys suspend pg_secret", "pg_secret", "done"},
		{"keys suspend nobody", "nobody", "done"}, // the gateway says that it knows none
		{"keys resume gone", "gone", "done"},
		{"credits add acme-2 5", "key_2", "done"},
		{"credits transfer acme acme-2 5", "key_1 key_2", "done"},
		{"keys suspend twin", "", `2 keys are called "twin": say which by its id, key_3, key_4`},
	} {
		spoke = ""
		var said bytes.Buffer
		w := &cli.World{Args: append(strings.Fields(tt.typed), "--url", gateway.URL, "--admin-key", "ak"), Out: &said, Err: &said, StateDir: func(cli.Wrap) string { return "nowhere" }, Exit: func(error) int { return cli.ExitError }}
		cli.Run(t.Context(), w)
		if spoke != tt.want || !strings.Contains(said.String(), tt.says) {
			t.Errorf("%s: spoke of %q, want %q; said %q", tt.typed, spoke, tt.want, said.String())
		}
	}
}
