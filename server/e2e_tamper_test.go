package server_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paygate/server/state"
	"paygate/store"
)

// tampered is a copy of a state in which somebody has written beside the
// gateway.
func tampered(t *testing.T, dir string, write func(tx *store.Tx) error) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(to, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(write); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return to
}

// doctor is what it says of a state; empty when all is well.
func doctor(dir string) string {
	var out bytes.Buffer
	if err := state.Doctor(context.Background(), dir, time.Now, &out, io.Discard, false); err != nil {
		return out.String() + err.Error()
	}
	return ""
}

func TestDoctorNamesWhateverWasChangedBesideTheGateway(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(map[string]any{"spendingLimit": 5})
	gone := g.key(map[string]any{"name": "gone"})
	g.do("POST", "/keys/alias", map[string]any{"key": k.ID, "alias": "first"}, nil, 200)
	g.do("POST", "/keys/rotate", map[string]any{"key": k.ID, "graceSeconds": 3600}, nil, 200)
	g.do("POST", "/topup", map[string]any{"key": k.ID, "credits": 5}, nil, 200, "Idempotency-Key", "once")
	g.do("POST", "/keys/revoke", map[string]any{"key": gone.ID}, nil, 200)
	g.do("POST", "/admin/keys", map[string]any{"name": "second", "role": "viewer"}, nil, 201)
	g.do("POST", "/admin/shadow", map[string]any{"name": "dear", "sheet": "defaults: {per_call: 5}"}, nil, 201)
	g.do("POST", "/maintenance", map[string]any{"enabled": false}, nil, 200)
	g.do("POST", "/admin/dedup", map[string]any{"ttlMs": 5000}, nil, 200)
	g.kill()
	state := filepath.Join(g.dir, ".paygate")
	if said := doctor(tampered(t, state, func(*store.Tx) error { return nil })); said != "" {
		t.Fatalf("nothing was changed, and it says\n%s", said)
	}
	for _, table := range []string{"keys", "adminkeys", "answers", "sheets", "sheet-pointers", "experiments", "mode", "maintenance", "dedup.config"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			var id, record []byte
			for name, write := range map[string]func(tx *store.Tx) error{
				"changed": func(tx *store.Tx) error {
					return tx.Put("t/"+table, id, bytes.Replace(record, []byte("{"), []byte(`{"more":1,`), 1))
				},
				"deleted": func(tx *store.Tx) error { return tx.Delete("t/"+table, id) },
				"added":   func(tx *store.Tx) error { return tx.Put("t/"+table, []byte("another"), record) },
			} {
				said := doctor(tampered(t, state, func(tx *store.Tx) error {
					tx.Ascend("t/"+table, nil, func(k, v []byte) bool {
						id, record = bytes.Clone(k), bytes.Clone(v)
						return false
					})
					return write(tx)
				}))
				want := table + " " + string(id)
				if name == "added" {
					want = table + " another"
				}
				if !strings.Contains(said, want) || !strings.Contains(said, name+" outside the gateway") || !strings.Contains(said, "What to do:") {
					t.Errorf("%s: %s", name, said)
				}
			}
		})
	}
	for _, index := range []string{"keys/secret", "keys/alias", "adminkeys/secret"} {
		var from, id []byte
		first := func(tx *store.Tx) {
			tx.Ascend("u/"+index, nil, func(k, v []byte) bool {
				from, id = bytes.Clone(k), bytes.Clone(v)
				return false
			})
		}
		for name, said := range map[string]string{
			"deleted": doctor(tampered(t, state, func(tx *store.Tx) error { first(tx); return tx.Delete("u/"+index, from) })),
			"led elsewhere": doctor(tampered(t, state, func(tx *store.Tx) error {
				first(tx)
				return tx.Put("u/"+index, from, []byte("another"))
			})),
			"added": doctor(tampered(t, state, func(tx *store.Tx) error { first(tx); return tx.Put("u/"+index, []byte("more"), id) })),
		} {
			if !strings.Contains(said, "leads to") || !strings.Contains(said, "outside the gateway") {
				t.Errorf("index %s, %s: %q", index, name, said)
			}
		}
	}
}

// A key that was revoked and works again because somebody has written into the
// file is found even after the gateway has gone on with it.
func TestAChangeBesideTheGatewayDoesNotHideBehindTheNextOne(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(map[string]any{"name": "gone"})
	g.do("POST", "/keys/revoke", map[string]any{"key": k.ID}, nil, 200)
	g.kill()
	state := filepath.Join(g.dir, ".paygate")
	db, err := store.Open(state, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *store.Tx) error {
		was := tx.Get("t/keys", []byte(k.ID))
		is := bytes.Replace(was, []byte(`"revoked":true,`), nil, 1)
		if bytes.Equal(was, is) {
			t.Errorf("the record says %s", was)
		}
		return tx.Put("t/keys", []byte(k.ID), is)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	g.run()
	g.do("POST", "/keys/notes", map[string]any{"key": k.ID, "text": "back again"}, nil, 201)
	g.kill()
	if said := doctor(state); !strings.Contains(said, "keys "+k.ID+": it was changed outside the gateway between act") {
		t.Errorf("it says %q", said)
	}
}
