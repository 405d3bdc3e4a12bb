package server_test

import (
	"bytes"
	"context"
	"errors"
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
	tables := []string{"keys", "adminkeys", "answers", "sheets", "sheet-pointers", "experiments", "mode", "maintenance", "dedup.config"}
	first := func(tx *store.Tx, bucket string) (id, value []byte) {
		tx.Ascend(bucket, nil, func(k, v []byte) bool {
			id, value = bytes.Clone(k), bytes.Clone(v)
			return false
		})
		return id, value
	}
	for name, write := range map[string]func(tx *store.Tx, bucket string, id, record []byte) error{
		"changed": func(tx *store.Tx, bucket string, id, record []byte) error {
			return tx.Put(bucket, id, bytes.Replace(record, []byte("{"), []byte(`{"more":1,`), 1))
		},
		"deleted": func(tx *store.Tx, bucket string, id, _ []byte) error { return tx.Delete(bucket, id) },
		"added": func(tx *store.Tx, bucket string, _, record []byte) error {
			return tx.Put(bucket, []byte("another"), record)
		},
	} {
		want := map[string]string{}
		said := doctor(tampered(t, state, func(tx *store.Tx) error {
			var err error
			for _, table := range tables {
				id, record := first(tx, "t/"+table)
				if want[table] = table + " " + string(id) + ": "; name == "added" {
					want[table] = table + " another: "
				}
				err = errors.Join(err, write(tx, "t/"+table, id, record))
			}
			return err
		}))
		for _, table := range tables {
			if found := lineWith(said, want[table]); !strings.Contains(found, name+" outside the gateway") {
				t.Errorf("%s, %s: %q in\n%s", table, name, found, said)
			}
		}
		if !strings.Contains(said, "What to do:") {
			t.Errorf("%s: nobody is told what to do: %s", name, said)
		}
	}
	for name, write := range map[string]func(tx *store.Tx, bucket string, value, id []byte) error{
		"deleted": func(tx *store.Tx, bucket string, value, _ []byte) error { return tx.Delete(bucket, value) },
		"led elsewhere": func(tx *store.Tx, bucket string, value, _ []byte) error {
			return tx.Put(bucket, value, []byte("another"))
		},
		"added": func(tx *store.Tx, bucket string, _, id []byte) error { return tx.Put(bucket, []byte("more"), id) },
	} {
		indexes := []string{"keys/secret", "keys/alias", "adminkeys/secret"}
		said := doctor(tampered(t, state, func(tx *store.Tx) error {
			var err error
			for _, index := range indexes {
				value, id := first(tx, "u/"+index)
				err = errors.Join(err, write(tx, "u/"+index, value, id))
			}
			return err
		}))
		for _, index := range indexes {
			table, what, _ := strings.Cut(index, "/")
			found := ""
			for line := range strings.Lines(said) {
				if strings.HasPrefix(line, "fault: "+table) && strings.Contains(line, " "+what+" ") && strings.Contains(line, "leads to") {
					found = line
				}
			}
			if !strings.Contains(found, "outside the gateway") {
				t.Errorf("index %s, %s: %s", index, name, said)
			}
		}
	}
}

// lineWith is the line of a text that has something in it.
func lineWith(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
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
	if said := doctor(state); !strings.Contains(said, "keys "+k.ID+": it was changed outside the gateway between event") {
		t.Errorf("it says %q", said)
	}
}
