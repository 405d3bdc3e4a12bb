package shadow_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"paygate/pricing/sheetfile"
	"paygate/shadow"
	"paygate/store"
)

const (
	wrongSheet = "name: pro\ndefaults:\n  per_cal: 2\nrules: [{match: {tol: x}}]\n"
	rightSheet = "name: pro\ndefaults: {per_call: 5}\n"
)

// trail are the lab's events so far: type and actor.
func (r *rig) trail(t *testing.T) (out []string) {
	t.Helper()
	if err := r.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	for seq := uint64(0); ; {
		events, err := r.Journal().Page(seq, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			return out
		}
		for _, e := range events {
			seq = e.Seq
			if kind, ok := strings.CutPrefix(e.Type, "shadow."); ok {
				out = append(out, kind+" "+e.Actor)
			}
		}
	}
}

func TestADraftKeepsATextUntilItHasNoMistake(t *testing.T) {
	t.Parallel()
	r := newRig(t, flat(2))
	e := must[*shadow.Experiment](t)(r.lab.Draft(ctx, "pro", []byte(wrongSheet), "ann"))
	if e.State != shadow.IsDraft || e.Draft.Text != wrongSheet || e.Draft.Mistakes != 3 || e.Draft.Found[0].Line != 3 {
		t.Fatalf("%+v %+v", e, e.Draft)
	}
	must[*shadow.Experiment](t)(r.lab.Draft(ctx, "pro", []byte(wrongSheet), "ann")) // the same again is no event
	var invalid *sheetfile.Invalid
	if _, _, err := r.lab.Validate(ctx, "pro", "ann"); !errors.As(err, &invalid) || len(invalid.Found) != 3 {
		t.Errorf("validated: %v", err)
	}
	for what, err := range map[string]error{
		"started":  errorOf(r.lab.Start(ctx, "pro", "ann")),
		"stopped":  errorOf(r.lab.Stop(ctx, "pro", "ann")),
		"promoted": errorOf(r.lab.Promote(ctx, shadow.Promotion{Name: "pro", Override: []string{"all"}}, "ann")),
		"reported": errorOf(r.lab.Report(ctx, "pro", shadow.Window{})),
		"tried":    errorOf(r.lab.Sheet("pro", nil)),
	} {
		if !errors.Is(err, shadow.ErrState) || !strings.Contains(fmt.Sprint(err), "a draft with 3 mistakes and cannot be "+what+"; mend it") {
			t.Errorf("%s: %v", what, err)
		}
	}
	list := must[[]shadow.Status](t)(r.lab.Status(ctx, ""))
	one := must[[]shadow.Status](t)(r.lab.Status(ctx, "pro"))
	if list[0].Draft.Text != "" || list[0].Draft.Mistakes != 3 || one[0].Draft.Text != wrongSheet {
		t.Errorf("the list has %+v, the one %+v", list[0].Draft, one[0].Draft)
	}
	must[*shadow.Experiment](t)(r.lab.Draft(ctx, "pro", []byte(rightSheet), "bob"))
	if sheet, err := r.lab.Sheet("pro", nil); err != nil || sheet.Tool("x").PerCall != 5 {
		t.Errorf("a draft without a mistake can be tried: %v", err)
	}
	if e, _, err := r.lab.Validate(ctx, "pro", "cem"); err != nil || e.State != shadow.Validated || e.Draft != nil || e.Candidate == "" || e.Title != "pro" {
		t.Errorf("%+v: %v", e, err)
	}
	must[*shadow.Experiment](t)(r.lab.Drop(ctx, "pro", "dan"))
	if _, err := r.lab.Experiment("pro"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("dropped: %v", err)
	}
	if got, want := fmt.Sprint(r.trail(t)), "[drafted ann drafted bob validated cem dropped dan]"; got != want {
		t.Errorf("the journal has %s, want %s", got, want)
	}
}

func TestASheetMayBeReplacedUntilItStarts(t *testing.T) {
	t.Parallel()
	r := newRig(t, flat(2))
	keep := func(name, file string) error {
		_, _, err := r.lab.New(ctx, name, []byte(file), "ann")
		return err
	}
	if err := errors.Join(keep("pro", "defaults: {per_call: 4}"), keep("pro", rightSheet), keep("pro", rightSheet)); err != nil {
		t.Fatal(err)
	}
	made := must[*shadow.Experiment](t)(r.lab.Experiment("pro")).Created
	r.later(time.Hour)
	must[*shadow.Experiment](t)(r.lab.Draft(ctx, "pro", []byte(wrongSheet), "ann"))
	if err := keep("pro", wrongSheet); !errors.As(err, new(*sheetfile.Invalid)) {
		t.Errorf("a sheet with mistakes is kept as a candidate: %v", err)
	}
	if err := keep("pro", rightSheet); err != nil {
		t.Fatal(err)
	}
	e := must[*shadow.Experiment](t)(r.lab.Start(ctx, "pro", "ann"))
	if sheet, err := r.lab.Sheet("pro", nil); err != nil || sheet.Tool("x").PerCall != 5 || !e.Created.Equal(made) {
		t.Errorf("%+v: %v", e, err)
	}
	if err := keep("pro", rightSheet); err != nil {
		t.Errorf("the same sheet again: %v", err)
	}
	for what, err := range map[string]error{"a sheet": keep("pro", "defaults: {per_call: 6}"), "a draft": errorOf(r.lab.Draft(ctx, "pro", []byte(rightSheet), "ann"))} {
		if !errors.Is(err, shadow.ErrTaken) || !strings.Contains(err.Error(), "experiment pro is shadowing: what was started never changes") {
			t.Errorf("%s in the place of one that has started: %v", what, err)
		}
	}
	if err := errorOf(r.lab.Drop(ctx, "pro", "ann")); !errors.Is(err, shadow.ErrState) {
		t.Errorf("one that has started is dropped: %v", err)
	}
	if got, want := fmt.Sprint(r.trail(t)), "[created ann replaced ann drafted ann validated ann started ann]"; got != want {
		t.Errorf("the journal has %s, want %s", got, want)
	}
}

func TestADraftHasBounds(t *testing.T) {
	t.Parallel()
	r := newRig(t, flat(2))
	text := "rules:\n" + strings.Repeat("- {a: 1}\n", 300)
	e := must[*shadow.Experiment](t)(r.lab.Draft(ctx, "many", []byte(text), "ann"))
	if e.Draft.Mistakes < 300 || len(e.Draft.Found) != 100 {
		t.Errorf("%d mistakes, %d are kept", e.Draft.Mistakes, len(e.Draft.Found))
	}
	full := rightSheet + strings.Repeat("#", sheetfile.MaxBytes-len(rightSheet))
	if err := errorOf(r.lab.Draft(ctx, "full", []byte(full), "ann")); err != nil {
		t.Errorf("of the most bytes: %v", err)
	}
	if err := errorOf(r.lab.Draft(ctx, "over", []byte(full+"#"), "ann")); !errors.As(err, new(*shadow.BadInput)) {
		t.Errorf("of one byte more: %v", err)
	}
	raw, err := json.Marshal(must[[]shadow.Status](t)(r.lab.Status(ctx, "")))
	if err != nil || len(raw) > 100_000 {
		t.Errorf("the list has %d bytes: %v", len(raw), err)
	}
}

func errorOf[T any](_ T, err error) error { return err }
