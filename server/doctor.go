package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"text/tabwriter"
	"time"

	"paygate/pricing"
	"paygate/server/feature/dedup"
	"paygate/server/feature/retention"
	"paygate/server/keys"
	"paygate/shadow"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
	"paygate/store/sheets"
)

// What works on a state while no gateway runs.

// ErrFaults means that a proof has found faults.
var ErrFaults = errors.New("the books do not add up")

// openBooks opens a state without serving it.
func openBooks(dir string, now func() time.Time) (*ledger.Book, error) {
	db, err := store.Open(dir, store.Options{})
	if err != nil {
		return nil, err
	}
	book, err := ledger.Open(db, ledger.Options{Now: now, Log: slog.New(slog.DiscardHandler), Sheet: sheetOf(db), Tables: provedTables()})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return book, nil
}

// provedTables are those whose every record the journal vouches for.
func provedTables() []store.Proved {
	return slices.Concat(keys.Tables(), sheets.Tables(), shadow.Tables(), dedup.Tables(), []store.Proved{retention.Anchors(), modeTable(), maintenanceTable()})
}

// sheetOf finds price sheets by their hash.
func sheetOf(db *store.DB) func(hash string) (*pricing.Sheet, error) {
	return func(hash string) (*pricing.Sheet, error) {
		var sheet *pricing.Sheet
		err := db.View(func(snap *store.Snapshot) (err error) {
			sheet, err = sheets.Get(snap, hash)
			return err
		})
		return sheet, err
	}
}

type doctorOut struct {
	OK       bool     `json:"ok"`
	From     string   `json:"from"` // what the proof begins with
	Events   uint64   `json:"events"`
	Entries  uint64   `json:"entries"`
	Balances int      `json:"balances"`
	Records  int      `json:"records"` // of keys, admin keys, prices, candidates, settings
	Faults   []string `json:"faults"`
	Took     string   `json:"took"`
}

// remedy is what to do about faults.
const remedy = `What to do: keep a copy of this state folder, and look for the newest backup that is well:
  paygate restore --from FILE --state-dir TRY && paygate doctor --state-dir TRY
A state in which all faults are of records can be served on; look at what they name first and set it right
through the gateway. What a fault says stays said, until the events of then are forgotten.`

// Doctor proves the books of a state: it folds the whole journal anew and
// compares. Progress goes to progress, what it found to out. The error wraps
// ErrFaults when something does not agree.
func Doctor(ctx context.Context, dir string, now func() time.Time, out, progress io.Writer, asJSON bool) error {
	began := now()
	book, err := openBooks(dir, now)
	if err != nil {
		return err
	}
	shown := -1
	proof, err := book.Verify(ctx, func(done float64) {
		if percent := int(100 * done); percent/5 != shown/5 && !asJSON {
			shown = percent
			_, _ = fmt.Fprintf(progress, "\rproving the books %3d %%", percent)
		}
	})
	if shown >= 0 {
		_, _ = fmt.Fprintln(progress)
	}
	from, oldErr := beginning(book)
	if err = errors.Join(err, oldErr, book.Close()); err != nil {
		return err
	}
	d := doctorOut{OK: proof.OK(), From: from, Events: proof.Events, Entries: proof.Entries, Balances: proof.Balances, Records: proof.Records, Faults: append([]string{}, proof.Faults...),
		Took: now().Sub(began).Round(time.Millisecond).String()}
	if asJSON {
		text, err := json.MarshalIndent(d, "", "  ")
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintln(out, string(text))
	} else {
		for _, f := range d.Faults {
			_, _ = fmt.Fprintln(out, "fault: "+f)
		}
		_, _ = fmt.Fprintf(out, "%d events, %d entries, %d accounts, %d records, from %s, in %s\n", d.Events, d.Entries, d.Balances, d.Records, d.From, d.Took)
	}
	if !d.OK {
		if !asJSON {
			_, _ = fmt.Fprintln(out, remedy)
		}
		return fmt.Errorf("%s: %w: %d faults", dir, ErrFaults, len(d.Faults))
	}
	if !asJSON {
		_, _ = fmt.Fprintln(out, "every balance, meter, window, record and hash agrees; all accounts together are 0")
	}
	return nil
}

// beginning says where the kept events begin.
func beginning(book *ledger.Book) (string, error) {
	oldest, err := book.Journal().Page(0, 1)
	switch {
	case err != nil:
		return "", err
	case len(oldest) == 0 || oldest[0].Type == journal.TypeBoot && oldest[0].Seq <= 1:
		return "the beginning", nil
	}
	return fmt.Sprintf("the anchor before event %d of %s", oldest[0].Seq, oldest[0].At.Format(time.DateTime)), nil
}

// ResetAdmin replaces the bootstrap admin key of a state that no gateway uses.
func ResetAdmin(ctx context.Context, dir string, now func() time.Time, rand io.Reader) (string, error) {
	book, err := openBooks(dir, now)
	if err != nil {
		return "", err
	}
	d, err := keys.Open(keys.Options{Book: book, Now: now, Rand: rand, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", errors.Join(err, book.Close())
	}
	key, err := d.ResetAdmin(ctx, "command line")
	return key, errors.Join(err, book.Close())
}

// PriceTable waits for the servers and prints what their tools would cost.
func (s *Server) PriceTable(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := s.servers.Settle(ctx); err != nil {
		return err
	}
	for _, st := range s.servers.Status() {
		if st.LastError != "" {
			_, _ = fmt.Fprintf(out, "%s %s: %s\n", st.Target, st.State, st.LastError)
		}
	}
	w := s.world.Load()
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "TOOL\tPER CALL\tKB IN\tKB OUT\tCALLS/MIN")
	names := s.toolNames(ctx)
	for _, name := range names {
		p, rate := w.Way.Sheet.Tool(name), w.Config.Tools[name].RateLimit
		if rate == 0 {
			rate = w.Config.GlobalRateLimit
		}
		_, _ = fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\n", name, p.PerCall, p.PerKBIn, p.PerKBOut, rate)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(names) == 0 {
		return errors.New("no tools were found")
	}
	return nil
}
