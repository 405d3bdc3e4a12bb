package shadow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"paygate/pricing"
	"paygate/pricing/sheetfile"
	"paygate/store"
	"paygate/store/ledger"
	"paygate/store/sheets"
)

// Draft is a sheet's text as somebody wrote it, mistakes and all. Nothing lives
// through it before it is validated.
type Draft struct {
	Text     string                 `json:"text,omitempty"` // a list of experiments leaves it out
	Mistakes int                    `json:"mistakes"`
	Found    []sheetfile.Diagnostic `json:"found"` // the first of them, and warnings
}

// mostFound is how many findings are kept with a draft.
const mostFound = 100

// Draft keeps a text under a name as it is. The same text again is no event.
// The error is a *BadInput or wraps ErrTaken.
func (l *Lab) Draft(ctx context.Context, name string, file []byte, actor string) (*Experiment, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if len(file) > sheetfile.MaxBytes {
		return nil, badInput("a price sheet has at most %d bytes, this has %d", sheetfile.MaxBytes, len(file))
	}
	e := &Experiment{Name: name, State: IsDraft, Draft: &Draft{Text: string(file)}}
	e.Draft.read(e)
	sum := sha256.Sum256(file)
	m := mark{Name: name, Text: hex.EncodeToString(sum[:]), Mistakes: e.Draft.Mistakes}
	return l.replace(ctx, e, func(tx *ledger.Tx, was *Experiment) error {
		if was != nil && was.Draft != nil && was.Draft.Text == e.Draft.Text {
			*e = *was
			return nil
		}
		return errors.Join(table().Put(tx, e), tx.Append(event(eventDrafted, actor, m)))
	})
}

// read finds the text's mistakes, and what it calls itself.
func (d *Draft) read(e *Experiment) {
	f, err := sheetfile.Parse([]byte(d.Text))
	var invalid *sheetfile.Invalid
	switch {
	case errors.As(err, &invalid):
		d.Found = invalid.Found
		for _, found := range invalid.Found {
			if !found.Warning {
				d.Mistakes++
			}
		}
	case err == nil:
		e.Title, d.Found = f.Name, f.Warnings
	}
	d.Found = append([]sheetfile.Diagnostic{}, d.Found[:min(len(d.Found), mostFound)]...)
}

// replace puts an experiment in the place of one that has not started, or of
// none.
func (l *Lab) replace(ctx context.Context, e *Experiment, put func(tx *ledger.Tx, was *Experiment) error) (*Experiment, error) {
	err := l.o.Book.Apply(ctx, func(tx *ledger.Tx) error {
		was, err := table().Get(tx, e.Name)
		switch {
		case errors.Is(err, store.ErrNotFound):
			e.Created = tx.Now()
			return put(tx, nil)
		case err != nil:
			return err
		case was.unstarted():
			e.Created = was.Created
			return put(tx, was)
		case was.Candidate == e.Candidate:
			*e = *was
			return nil
		}
		return fmt.Errorf("experiment %s is %s: %w", e.Name, was.word(), ErrTaken)
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// unstarted says whether an experiment's sheet may still be another one.
func (e *Experiment) unstarted() bool { return e.State == IsDraft || e.State == Validated }

// keep keeps a sheet without mistakes.
func (l *Lab) keep(ctx context.Context, e *Experiment, sheet *pricing.Sheet, actor string) (*Experiment, error) {
	e.Candidate, e.State = sheet.Hash(), Validated
	return l.replace(ctx, e, func(tx *ledger.Tx, was *Experiment) error {
		kind := eventCreated
		switch {
		case was != nil && was.State == Validated && was.Candidate == e.Candidate:
			*e = *was
			return nil
		case was != nil && was.State == Validated:
			kind = eventReplaced
		case was != nil:
			kind = eventValid
		}
		return validated(tx, e, sheet, kind, actor)
	})
}

func validated(tx *ledger.Tx, e *Experiment, sheet *pricing.Sheet, kind, actor string) error {
	return errors.Join(sheets.Put(tx, sheet, "shadow:"+e.Name, tx.Now()), table().Put(tx, e), tx.Append(event(kind, actor, e.mark())))
}

// Validate makes an experiment of a draft whose text has no mistake. The error
// is a *sheetfile.Invalid when it has some.
func (l *Lab) Validate(ctx context.Context, name, actor string) (*Experiment, []sheetfile.Diagnostic, error) {
	e, err := l.Experiment(name)
	if err != nil {
		return nil, nil, err
	}
	switch e.State {
	case IsDraft:
	case Validated:
		return nil, nil, wrongState("experiment %s is validated already; %s", name, e.next())
	default:
		return nil, nil, e.no("validated")
	}
	text := e.Draft.Text
	f, err := sheetfile.Parse([]byte(text))
	if err != nil {
		return nil, nil, err
	}
	err = l.o.Book.Apply(ctx, func(tx *ledger.Tx) error {
		if e, err = table().Get(tx, name); err != nil {
			return err
		}
		if e.State != IsDraft || e.Draft.Text != text {
			return wrongState("experiment %s was changed meanwhile; look at it again", name)
		}
		e.Title, e.Candidate, e.State, e.Draft = f.Name, f.Sheet.Hash(), Validated, nil
		return validated(tx, e, f.Sheet, eventValid, actor)
	})
	if err != nil {
		return nil, nil, err
	}
	return e, f.Warnings, nil
}

// Drop forgets an experiment that never started. Its name is free again.
func (l *Lab) Drop(ctx context.Context, name, actor string) (*Experiment, error) {
	var e *Experiment
	err := l.o.Book.Apply(ctx, func(tx *ledger.Tx) (err error) {
		if e, err = table().Get(tx, name); err != nil {
			return err
		}
		if !e.unstarted() {
			return e.no("dropped")
		}
		return errors.Join(table().Delete(tx, name), tx.Append(event(eventDropped, actor, e.mark())))
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// sheetOf is an experiment's sheet. A draft has one if its text has no mistake.
func (l *Lab) sheetOf(e *Experiment) (*pricing.Sheet, error) {
	if e.Draft == nil {
		return l.sheet(e.Candidate)
	}
	f, err := sheetfile.Parse([]byte(e.Draft.Text))
	if err != nil {
		return nil, e.no("tried")
	}
	return f.Sheet, nil
}
