package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"paygate/store/journal"
	"paygate/store/ledger"
)

// ErrFaults means that a proof has found faults.
var ErrFaults = errors.New("the books do not add up")

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
	book, err := Open(dir, Options{Now: now})
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
