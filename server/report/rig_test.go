package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/server/keys"
	"paygate/server/report"
	"paygate/store/journal"
	"paygate/store/ledger"
	"paygate/testdata/books"
	"paygate/testdata/clock"
)

// rig is books with keys, and a time that only the test moves.
type rig struct {
	t     *testing.T
	dir   string
	clock *clock.Hands
	book  *ledger.Book
	keys  *keys.Directory
	ids   []string
	sheet *pricing.Sheet
	rand  *rand.Rand
	made  int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), clock: clock.At(time.Date(2026, 3, 30, 22, 0, 0, 0, time.UTC)), rand: rand.New(rand.NewPCG(1, 2)),
		sheet: pricing.FromTools(pricing.ToolPrice{PerCall: 2}, map[string]pricing.ToolPrice{"dear": {PerCall: 50}, "free": {}}, true)}
	r.open()
	t.Cleanup(func() { _ = r.book.Close() })
	if err := r.keys.Import(t.Context(), map[string]pricing.Credits{"pg_aaaa0000": 1000, "pg_bbbb1111": 5000, "pg_cccc2222": 200}); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"pg_aaaa0000", "pg_bbbb1111", "pg_cccc2222"} {
		id, _ := r.keys.Resolve(secret)
		r.ids = append(r.ids, id)
	}
	return r
}

func (r *rig) open() {
	r.t.Helper()
	r.book = books.Open(r.t, r.dir, ledger.Options{Now: r.clock.Now, Sheet: func(string) (*pricing.Sheet, error) { return r.sheet, nil }})
	var err error
	r.keys, err = keys.Open(keys.Options{Book: r.book, Now: r.clock.Now, Rand: seeded{r.rand}, Log: slog.New(slog.DiscardHandler),
		Limits: func() keys.Limits { return keys.Limits{} }})
	if err != nil {
		r.t.Fatal(err)
	}
}

// reopen is a restart.
func (r *rig) reopen() {
	r.t.Helper()
	if err := r.book.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.open()
}

type seeded struct{ *rand.Rand }

func (s seeded) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(s.Uint32())
	}
	return len(b), nil
}

// work makes calls and acts of owners, some seconds apart.
func (r *rig) work(n int) {
	r.t.Helper()
	tools := []string{"echo", "dear", "free", "fs:read"}
	for range n {
		r.clock.Add(time.Duration(r.rand.IntN(20_000)) * time.Millisecond)
		r.made++
		id := r.ids[r.rand.IntN(len(r.ids))]
		switch dice := r.rand.IntN(100); {
		case dice < 3:
			r.topUp(id)
		case dice < 6:
			r.call("", "echo", "missing_api_key")
		case dice < 12:
			r.call(id, tools[r.rand.IntN(len(tools))], "tool_denied: not in the list")
		default:
			r.call(id, tools[r.rand.IntN(len(tools))], "")
		}
	}
	if err := r.book.Flush(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) topUp(id string) {
	r.t.Helper()
	err := r.book.Apply(r.t.Context(), func(tx *ledger.Tx) error {
		return tx.Append(journal.Event{Type: "key.topup", Actor: fmt.Sprintf("adm_%d", r.rand.IntN(2)), Subject: id,
			Posts: []journal.Entry{{ID: fmt.Sprintf("topup:%d", r.made), From: journal.Bank, To: journal.KeyAccount(id), Amount: 25, Kind: "topup"}}})
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) call(id, tool, refused string) {
	r.t.Helper()
	c := &ledger.Call{Price: r.sheet}
	c.ID, c.Key, c.Payer, c.Tool, c.In = fmt.Sprintf("req_%d", r.made), id, string(journal.KeyAccount(id)), tool, 10
	c.Sheet = r.sheet.Hash()
	if id == "" {
		c.Payer = ""
	}
	if refused != "" {
		c.Findings = []string{refused}
		c.At = r.clock.Now()
		r.book.Refuse(c)
		return
	}
	err := r.book.Reserve(c)
	var no *ledger.Refused
	if errors.As(err, &no) {
		return
	}
	if err != nil {
		r.t.Fatal(err)
	}
	c.Took = time.Duration(r.rand.IntN(300_000)) * time.Microsecond
	r.clock.Add(c.Took.Truncate(time.Millisecond))
	c.Outcome = pricing.OK
	if r.rand.IntN(10) == 0 {
		c.Outcome = pricing.Failed
	}
	r.book.Settle(c)
}

// reports are made with segments of a size; 0 leaves the journal as it is.
func (r *rig) reports(size int) (*report.Reports, *report.Rollup) {
	r.t.Helper()
	rollup, err := report.NewRollup(r.book.DB(), r.book.Journal(), slog.New(slog.DiscardHandler), size)
	if err != nil {
		r.t.Fatal(err)
	}
	return report.New(report.Options{Book: r.book, Keys: r.keys, Rollup: rollup, Now: r.clock.Now, Proof: func() api.Proof { return api.Proof{} }}), rollup
}

// follow lets a roll-up see everything up to a number.
func (r *rig) follow(rollup *report.Rollup, upTo uint64) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	defer cancel()
	for e := range r.book.Journal().Tail(ctx, rollup.After()) {
		if e.Seq > upTo {
			return
		}
		rollup.Add(e)
		if e.Seq == upTo {
			return
		}
	}
}

// ask asks a route as a key's holder or an admin would, and gives its answer.
func (r *rig) ask(p *report.Reports, path string) string {
	r.t.Helper()
	u, err := url.Parse(path)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx := api.WithActor(r.t.Context(), api.Actor{ID: "owner", Key: r.ids[1]})
	for _, route := range p.Routes() {
		if route.Path != u.Path {
			continue
		}
		if route.Raw != nil {
			w := httptest.NewRecorder()
			if err := route.Raw(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)); err != nil {
				r.t.Fatalf("%s: %v", path, err)
			}
			return w.Body.String()
		}
		out, err := route.Do(ctx, &api.Request{Query: u.Query()})
		if err != nil {
			r.t.Fatalf("%s: %v", path, err)
		}
		text, err := json.MarshalIndent(out, "", " ")
		if err != nil {
			r.t.Fatal(err)
		}
		return string(text)
	}
	r.t.Fatalf("there is no %s", path)
	return ""
}

// field reads one number of an answer.
func field(t *testing.T, answer string, names ...string) float64 {
	t.Helper()
	var v any
	if err := json.NewDecoder(bytes.NewReader([]byte(answer))).Decode(&v); err != nil {
		t.Fatalf("%v: %.200s", err, answer)
	}
	for _, name := range names {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	n, ok := v.(float64)
	if !ok {
		t.Fatalf("%s is %v in %.400s", strings.Join(names, "."), v, answer)
	}
	return n
}

// ids are the ids of an answer's rows.
func ids(t *testing.T, answer, list string) []string {
	t.Helper()
	var v map[string]json.RawMessage
	var rows []struct{ ID json.Number }
	if err := json.Unmarshal([]byte(answer), &v); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(v[list], &rows); err != nil {
		t.Fatal(err)
	}
	out := make([]string, len(rows))
	for i, row := range rows {
		out[i] = row.ID.String()
	}
	return out
}
