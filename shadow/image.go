package shadow

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/shadow/tally"
	"paygate/shadow/trial"
	"paygate/store/ledger"
)

// savedWalk is the lab between two blocks, but for what follows it: the
// scenarios, what plans have given, the candidates.
type savedWalk struct {
	Form        int
	Last        uint64
	At          time.Time
	Digest      string
	Differs     int
	Keys, Tools []string
	Would       bool // its scenario follows the real one
	Pairs       int
}

// savedPair is a candidate, but for its scenarios, tally and plans.
type savedPair struct {
	Mark             mark
	From             time.Time
	Running          bool
	Stages           []trial.Stage
	Ended            *time.Time
	Live             bool // it has a scenario of its own for the live prices
	Counted          bool // its tally follows
	Added, Expired   pricing.Credits
	PaidLive, Paid   savedAmounts
	Real             savedAmounts
	granted          map[string]pricing.Granted
	topped, toppedBy map[string]toppedUp // by the live prices, by the candidate
}

// image is a walk and its candidates as they were between two blocks. To take
// one costs little, to write it takes as long as it takes.
type image struct {
	walk        savedWalk
	grants      map[string]pricing.Granted
	real, would *ledger.Image
	pairs       []pairImage
	freezes     []freezer
}

type pairImage struct {
	head       savedPair
	live, cand *ledger.Image
	tally      *tally.Image
}

// freezer is what keeps an image as it is, while it goes on itself.
type freezer interface {
	Freeze()
	Thaw()
}

// freeze keeps the image as it is until thaw. Behind mu, both.
func (i *image) freeze() {
	for _, f := range i.freezes {
		f.Freeze()
	}
}

func (i *image) thaw() {
	for _, f := range i.freezes {
		f.Thaw()
	}
}

// imageOf is a walk as it is now, with what candidates have counted or without.
// Unless it is frozen it is good until the walk goes on.
func imageOf(w *walker, pairs map[string]*tracked, counted bool) (*image, error) {
	i := &image{walk: savedWalk{Form: form, Last: w.last, At: w.at, Digest: w.digest, Differs: w.differs, Would: w.would != nil, Pairs: len(pairs)},
		grants: w.grants.Image(), freezes: []freezer{w.grants, w.real}}
	if counted {
		i.walk.Keys, i.walk.Tools = w.numbers.keys, w.numbers.tools
	}
	var err error
	if i.real, err = w.real.Image(w.at); err != nil {
		return nil, err
	}
	if w.would != nil {
		i.freezes = append(i.freezes, w.would)
		if i.would, err = w.would.Image(w.at); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		if err := i.pair(w, pairs[name], counted); err != nil {
			return nil, fmt.Errorf("experiment %s: %w", name, err)
		}
	}
	return i, nil
}

func (i *image) pair(w *walker, t *tracked, counted bool) (err error) {
	p := t.pair
	out := pairImage{head: savedPair{Mark: t.mark, From: t.from, Stages: slices.Clone(t.stages), Ended: t.ended, Running: slices.Contains(w.pairs, p), Live: p.live != nil, Counted: counted,
		Added: p.plans.Added, Expired: p.plans.Expired, PaidLive: p.paid[0].saved(), Paid: p.paid[1].saved(), Real: p.real.saved(),
		granted: p.plans.granted.Image(), topped: p.topped.Image(), toppedBy: p.plans.topped.Image()}}
	i.freezes = append(i.freezes, p.plans.granted, p.plans.topped, p.topped, p.cand)
	if out.cand, err = p.cand.Image(w.at); err != nil {
		return err
	}
	if p.live != nil {
		i.freezes = append(i.freezes, p.live)
		if out.live, err = p.live.Image(w.at); err != nil {
			return err
		}
	}
	if counted {
		i.freezes = append(i.freezes, p.tally)
		out.tally = p.tally.Image()
	}
	i.pairs = append(i.pairs, out)
	return nil
}

// encode writes the image.
func (i *image) encode(w io.Writer) error {
	to := gob.NewEncoder(w)
	err := errors.Join(to.Encode(&i.walk), to.Encode(i.grants), i.real.Encode(to))
	if i.would != nil && err == nil {
		err = i.would.Encode(to)
	}
	for n := range i.pairs {
		p := &i.pairs[n]
		if err == nil {
			err = errors.Join(to.Encode(&p.head), to.Encode(p.head.granted), to.Encode(p.head.topped), to.Encode(p.head.toppedBy), p.cand.Encode(to))
		}
		if err == nil && p.live != nil {
			err = p.live.Encode(to)
		}
		if err == nil && p.tally != nil {
			err = p.tally.Encode(to)
		}
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// decode goes on from a state. The candidates count on from where they were, or
// anew within a window.
func (l *Lab) decode(raw pieces, window *Window) (*walker, map[string]*tracked, error) {
	from := gob.NewDecoder(raw.reader())
	w, n, err := l.decodeWalk(from)
	if err != nil {
		return nil, nil, fmt.Errorf("checkpoint: %w", err)
	}
	pairs := map[string]*tracked{}
	for range n {
		t, err := l.decodePair(from, w, window)
		if err != nil {
			return nil, nil, fmt.Errorf("checkpoint: %w", err)
		}
		pairs[t.Name] = t
	}
	if window == nil {
		window = &Window{}
	}
	l.follow(w, pairs, *window)
	return w, pairs, nil
}

// decodeWalk is the walk without candidates, and how many of them follow.
func (l *Lab) decodeWalk(from *gob.Decoder) (w *walker, pairs int, err error) {
	var c savedWalk
	if err := from.Decode(&c); err != nil {
		return nil, 0, err
	}
	if c.Form != form || !l.has(c.Last, c.Digest) {
		return nil, 0, errors.New("it is of another journal or another version")
	}
	granted := map[string]pricing.Granted{}
	if err := from.Decode(&granted); err != nil {
		return nil, 0, err
	}
	w = &walker{db: l.o.Book.DB(), past: newPast(l.sheet), numbers: newNumbers(c.Keys, c.Tools), grants: newGrants(granted),
		newest: l.o.Book.Journal().Last, last: c.Last, at: c.At, digest: c.Digest, differs: c.Differs}
	if w.real, err = ledger.DecodeScenario(from, w.then, l.sheet); err != nil {
		return nil, 0, err
	}
	w.real.Takes = notObserved
	if c.Would {
		if w.would, err = ledger.DecodeScenario(from, w.then, l.sheet); err != nil {
			return nil, 0, err
		}
		w.would.Takes = observed
	}
	return w, c.Pairs, nil
}

func (l *Lab) decodePair(from *gob.Decoder, w *walker, window *Window) (*tracked, error) {
	var s savedPair
	for _, v := range []any{&s, &s.granted, &s.topped, &s.toppedBy} {
		if err := from.Decode(v); err != nil {
			return nil, err
		}
	}
	sheet, err := l.sheet(s.Mark.Candidate)
	if err != nil {
		return nil, fmt.Errorf("experiment %s: %w", s.Mark.Name, err)
	}
	p := w.pair(sheet, nil)
	p.paid[0], p.paid[1], p.real = s.PaidLive.amounts(), s.Paid.amounts(), s.Real.amounts()
	p.plans = newPlanner(sheet, p.judgedBy, newGrants(s.granted))
	p.plans.Added, p.plans.Expired = s.Added, s.Expired
	p.plans.topped, p.topped = newTopUps(s.toppedBy), newTopUps(s.topped)
	cand, err := ledger.DecodeScenario(from, p.candidate, l.sheet)
	if err != nil {
		return nil, err
	}
	p.take(cand)
	if s.Live {
		live, err := ledger.DecodeScenario(from, p.judgedBy, l.sheet)
		if err != nil {
			return nil, err
		}
		p.owns(live)
	}
	if s.Counted {
		if p.tally, err = tally.Decode(from); err != nil {
			return nil, err
		}
	}
	if window != nil {
		if window.From.After(s.From) {
			s.From = window.From
		}
		p.tally = tally.New(tally.Window{From: s.From, To: window.To})
	}
	if p.tally == nil {
		return nil, errors.New("it has no counts")
	}
	if s.Running {
		w.pairs = append(w.pairs, p)
	}
	return &tracked{mark: s.Mark, from: s.From, stages: s.Stages, ended: s.Ended, pair: p}, nil
}
