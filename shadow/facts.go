package shadow

import (
	"context"
	"fmt"
	"slices"

	"paygate/pricing"
	"paygate/store"
	"paygate/store/ledger"
	"paygate/store/sheets"
)

// Candidates are the sheets of the experiments that run. What they price by
// must be recorded with every call, or they could not be shadowed.
func Candidates(r store.Reader) ([]*pricing.Sheet, error) {
	return candidates(r, (*Experiment).running)
}

// Kept are the candidates' sheets that run or may yet.
func Kept(r store.Reader) ([]*pricing.Sheet, error) {
	return candidates(r, func(e *Experiment) bool { return e.running() || e.State == Validated || e.State == InCanary })
}

func candidates(r store.Reader, which func(*Experiment) bool) ([]*pricing.Sheet, error) {
	var out []*pricing.Sheet
	for e, err := range table().All(r, "") {
		if err != nil {
			return nil, err
		}
		if !which(e) {
			continue
		}
		sheet, err := sheets.Get(r, e.Candidate)
		if err != nil {
			return nil, fmt.Errorf("experiment %s: %w", e.Name, err)
		}
		out = append(out, sheet)
	}
	return out, nil
}

// dimsFit refuses a candidate that means another argument by a name that is
// recorded already: a fact has one meaning.
func dimsFit(tx *ledger.Tx, e *Experiment, live *pricing.Sheet) error {
	sheet, err := sheets.Get(tx, e.Candidate)
	if err != nil {
		return err
	}
	others, err := Candidates(tx)
	if err != nil {
		return err
	}
	for _, other := range append(others, live) {
		for _, d := range other.Dims() {
			for _, ours := range sheet.Dims() {
				if ours.Name == d.Name && ours.Tool == d.Tool && (ours.Path() != d.Path() || !slices.Equal(ours.Values, d.Values)) {
					return badInput("dimension %s of tool %q is recorded already as argument %q with other values or from another place; name it otherwise", d.Name, d.Tool, d.Path())
				}
			}
		}
	}
	return nil
}

// changing is change of what is recorded with calls from now on.
func (l *Lab) changing(ctx context.Context, name string, fn func(*ledger.Tx, *Experiment) error) (*Experiment, error) {
	e, err := l.change(ctx, name, fn)
	if err != nil {
		return nil, err
	}
	return e, l.changed(ctx)
}
