package shadow

import (
	"cmp"
	"context"
	"fmt"

	"paygate/pricing"
	"paygate/shadow/sums"
	"paygate/store"
	"paygate/store/sheets"
)

// Sums prices the newest calls of a window under sheets, fast enough to follow a
// price that somebody is turning; see sums.Calls.
func (l *Lab) Sums(ctx context.Context, list []*pricing.Sheet, window Window) (*sums.Sums, error) {
	if n := len(list); n == 0 || n > MostRunning+1 {
		return nil, badInput("sums are made for 1 to %d sheets, not %d", MostRunning+1, n)
	}
	return l.sums.Sum(ctx, list, window)
}

// Sheet is that of an experiment, "" or "live" for the live one, with changed
// cells.
func (l *Lab) Sheet(name string, set map[string]pricing.Cell) (s *pricing.Sheet, err error) {
	if name == "" || name == "live" {
		err = l.o.Book.DB().View(func(snap *store.Snapshot) error {
			s, _, err = sheets.Live(snap)
			return err
		})
	} else {
		var e *Experiment
		if e, err = l.Experiment(name); err == nil {
			s, err = l.sheetOf(e)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("sheet %s: %w", cmp.Or(name, "live"), err)
	}
	changed, err := s.With(set)
	if err != nil {
		return nil, badInput("%v", err)
	}
	return changed, nil
}
