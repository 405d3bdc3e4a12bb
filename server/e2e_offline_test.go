package server_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// grown makes a state of so many top-ups in a folder.
func grown(t *testing.T, dir string, topUps int) {
	t.Helper()
	db, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	book, err := ledger.Open(db, ledger.Options{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	const atOnce = 5000
	for from := 0; err == nil && from < topUps; from += atOnce {
		err = book.Apply(t.Context(), func(tx *ledger.Tx) error {
			for i := from; i < from+atOnce; i++ {
				to := fmt.Sprintf("key_%016x", i%1000)
				if err := tx.Append(journal.Event{Type: "key.topup", Actor: "test", Subject: to,
					Posts: []journal.Entry{{ID: fmt.Sprint("topup:", i), From: journal.Bank, To: journal.KeyAccount(to), Amount: 1, Kind: "topup"}}}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := errors.Join(err, book.Close()); err != nil {
		t.Fatal(err)
	}
}

// killed runs a command of the program again and again and kills it ever later,
// until it ends first. after looks at what each kill has left.
func (g *gateway) killed(after func(), args ...string) {
	g.t.Helper()
	for wait := 5 * time.Millisecond; ; wait += wait {
		cmd := exec.Command(binary(), args...)
		cmd.Dir = g.dir
		out := &strings.Builder{}
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			g.t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case err := <-ended:
			if err != nil {
				g.t.Fatalf("%v: %v\n%s", args, err, out)
			}
			return
		case <-time.After(wait):
		}
		_ = cmd.Process.Kill()
		<-ended
		after()
	}
}

func TestAKillDuringAnOfflineCommandLosesNothing(t *testing.T) {
	t.Parallel()
	const topUps = 30_000
	g := &gateway{t: t, dir: t.TempDir()}
	grown(t, filepath.Join(g.dir, "state"), topUps)
	well := func(dir string) {
		t.Helper()
		if out, code := g.command("doctor", "--state-dir", dir); code != 0 || !strings.Contains(out, fmt.Sprintf(" %d entries", topUps)) {
			t.Errorf("%s: exit %d\n%s", dir, code, out)
		}
	}
	tries := 0
	g.killed(func() { // half a backup has not the name of one
		if _, err := os.Stat(filepath.Join(g.dir, "b")); err != nil {
			return
		}
		tries++
		from := fmt.Sprint("of-killed-", tries)
		if out, code := g.command("restore", "--from", "b", "--state-dir", from); code != 0 {
			t.Errorf("a backup that was killed is there, and not whole: exit %d\n%s", code, out)
		}
		well(from)
		_ = os.Remove(filepath.Join(g.dir, "b"))
	}, "backup", "--state-dir", "state", "--to", "b")
	g.killed(func() {
		if out, code := g.command("doctor", "--state-dir", "again"); code == 0 && !strings.Contains(out, fmt.Sprintf(" %d entries", topUps)) {
			t.Errorf("half a restore counts as one: %s", out)
		}
		_ = os.Remove(filepath.Join(g.dir, "again", store.FileName)) // an empty state that doctor has made, or a whole one
	}, "restore", "--from", "b", "--state-dir", "again")
	well("again")
	g.killed(func() {}, "compact", "--state-dir", "again")
	well("again")
	g.killed(func() {}, "admin", "reset", "--state-dir", "again")
	well("again")
	well("state")
	for _, dir := range []string{"again", "state", "."} {
		left, err := filepath.Glob(filepath.Join(g.dir, dir, "*.part"))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	}
}
