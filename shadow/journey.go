package shadow

import (
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"paygate/shadow/tally"
	"paygate/shadow/trial"
	"paygate/shadow/walk"
	"paygate/store/journal"
)

// journey is a walk with the experiments in it, which come and go as they did.
type journey struct {
	*walk.Walk
	l      *Lab
	window Window // calls outside of it do not count
	pairs  map[string]*tracked
	began  func(*tracked) // sees every experiment that begins; may be nil
}

// tracked is an experiment in a walk.
type tracked struct {
	mark
	pair   *walk.Pair
	from   time.Time
	stages []trial.Stage // when it was charged to a share of the keys
	ended  *time.Time    // when that ended
}

func (l *Lab) walkOptions() walk.Options {
	return walk.Options{DB: l.o.Book.DB(), SheetOf: l.sheet, Newest: l.o.Book.Journal().Last}
}

// journey begins at the journal's beginning.
func (l *Lab) journey(window Window) (*journey, error) {
	w, err := walk.New(l.walkOptions())
	if err != nil {
		return nil, err
	}
	j := &journey{Walk: w, l: l, window: window, pairs: map[string]*tracked{}}
	j.follow()
	if w.Place().Last > 0 {
		j.late()
	}
	return j, nil
}

// late begins the candidates whose start is not in the journal any more where
// the journal begins now: what they cover begins there, too.
func (j *journey) late() {
	first := time.Time{}
	j.Onset(func(at time.Time) bool {
		first = at
		return true
	}, func() error {
		all, err := j.l.Experiments()
		if err != nil {
			return err
		}
		for _, e := range all {
			if !e.running() || e.Started == nil || !e.Started.Before(first) {
				continue
			}
			if err := j.enter(mark{Name: e.Name, Candidate: e.Candidate, Live: e.Live}, first); err != nil {
				return err
			}
		}
		return nil
	})
}

// enter begins a candidate, which counts within the window.
func (j *journey) enter(m mark, at time.Time) error {
	if j.window.From.After(at) {
		at = j.window.From
	}
	return j.begin(m, at)
}

func (j *journey) begin(m mark, at time.Time) error {
	sheet, err := j.l.sheet(m.Candidate)
	if err != nil {
		return fmt.Errorf("experiment %s: %w", experimentOf(m.Name), err)
	}
	t := &tracked{mark: m, from: at, pair: j.Begin(sheet, tally.New(tally.Window{From: at, To: j.window.To}))}
	if j.pairs[m.Name] = t; j.began != nil {
		j.began(t)
	}
	return nil
}

// of is an experiment by its name; nil: it is not in.
func (j *journey) of(name string) *tracked {
	if j == nil {
		return nil
	}
	return j.pairs[name]
}

// follow lets candidates come and go by the lab's events.
func (j *journey) follow() {
	j.Events(eventPrefix, func(e *journal.Event) error {
		var m mark
		if err := json.Unmarshal(e.Data, &m); err != nil {
			return fmt.Errorf("event %d: %w", e.Seq, err)
		}
		t := j.pairs[m.Name]
		switch {
		case e.Type == eventStarted:
			if err := j.enter(m, e.At); err != nil {
				return err
			}
		case e.Type == eventStopped:
			j.drop(t)
		case e.Type == eventCanary || e.Type == eventPromoted:
			if err := j.charging(m, e); err != nil {
				return err
			}
		case e.Type == eventRestored:
			delete(j.pairs, m.Name+beforeMark) // it has not lived through what was charged between
			if err := j.charging(m, e); err != nil {
				return err
			}
		case e.Type == eventSuperse || e.Type == eventRolled:
			j.drop(j.pairs[m.Name+beforeMark])
		}
		if t != nil {
			t.stage(e, m)
		}
		return nil
	})
}

// drop ends a candidate's shadow; what it has seen stays.
func (j *journey) drop(t *tracked) {
	if t != nil {
		j.End(t.pair)
	}
}

// stage keeps when a share of the keys began to pay, and when that ended.
func (t *tracked) stage(e *journal.Event, m mark) {
	switch {
	case e.Type == eventCanary:
		t.stages = append(t.stages, trial.Stage{From: e.At, Percent: m.Percent, Salt: m.Salt, Seq: e.Seq, Charged: m.Charged})
		t.ended = nil
	case len(t.stages) > 0 && t.ended == nil && (e.Type == eventPromoted || e.Type == eventRolled || e.Type == eventStopped):
		at := e.At
		t.ended = &at
	}
}

// form is that of a kept journey; another one is not read.
const form = 10

// savedJourney comes before the walk, which comes before its experiments.
type savedJourney struct{ Form, Experiments int }

// savedTracked comes before a pair.
type savedTracked struct {
	Mark   mark
	From   time.Time
	Stages []trial.Stage
	Ended  *time.Time
}

// image is a journey as it was between two blocks; see walk.Image.
type image struct {
	*walk.Image
	experiments []savedTracked // as Image has them
}

// image is of now, with what candidates have counted or without.
func (j *journey) image(counted bool) (*image, error) {
	i := &image{}
	var pairs []*walk.Pair
	for _, name := range slices.Sorted(maps.Keys(j.pairs)) {
		t := j.pairs[name]
		i.experiments = append(i.experiments, savedTracked{t.mark, t.from, slices.Clone(t.stages), t.ended})
		pairs = append(pairs, t.pair)
	}
	var err error
	i.Image, err = j.Image(pairs, counted)
	return i, err
}

// encode writes the image.
func (i *image) encode(w io.Writer) error {
	to := gob.NewEncoder(w)
	err := errors.Join(to.Encode(savedJourney{form, len(i.experiments)}), i.Encode(to))
	for n := range i.experiments {
		if err == nil {
			err = errors.Join(to.Encode(&i.experiments[n]), i.EncodePair(to, n))
		}
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// decode goes on from an image. The candidates count on from where they were, or
// anew within a window.
func (l *Lab) decode(raw pieces, window *Window) (*journey, error) {
	from := gob.NewDecoder(raw.reader())
	var s savedJourney
	if err := from.Decode(&s); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if s.Form != form {
		return nil, errors.New("it is of another version")
	}
	w, err := walk.Load(l.walkOptions(), from)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	j := &journey{Walk: w, l: l, pairs: map[string]*tracked{}}
	if window != nil {
		j.window = *window
	}
	for range s.Experiments {
		if err := j.decode(from, window != nil); err != nil {
			return nil, fmt.Errorf("checkpoint: %w", err)
		}
	}
	j.follow()
	return j, nil
}

// decode goes on with an experiment, which counts anew or on.
func (j *journey) decode(from *gob.Decoder, anew bool) error {
	var s savedTracked
	if err := from.Decode(&s); err != nil {
		return err
	}
	sheet, err := j.l.sheet(s.Mark.Candidate)
	if err != nil {
		return fmt.Errorf("experiment %s: %w", s.Mark.Name, err)
	}
	var counts *tally.Tally
	if anew {
		if j.window.From.After(s.From) {
			s.From = j.window.From
		}
		counts = tally.New(tally.Window{From: s.From, To: j.window.To})
	}
	pair, err := j.LoadPair(from, sheet, counts)
	if err != nil {
		return err
	}
	j.pairs[s.Mark.Name] = &tracked{s.Mark, pair, s.From, s.Stages, s.Ended}
	return nil
}
