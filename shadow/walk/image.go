package walk

import (
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"slices"

	"paygate/pricing"
	"paygate/shadow/tally"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// savedWalk is a walk between two blocks, but for what follows it: what plans
// have given, the scenarios.
type savedWalk struct {
	Place
	Keys, Tools []string
	Would       bool // its scenario follows the real one
}

// savedPair is a candidate, but for its plans, scenarios and tally.
type savedPair struct {
	Running        bool
	Live           bool // it has a scenario of its own for the live prices
	Counted        bool // its tally follows
	Added, Expired pricing.Credits
	PaidLive, Paid savedAmounts
	Real           savedAmounts
}

// Image is a walk and its candidates as they were between two blocks. To take
// one costs little, to write it takes as long as it takes.
type Image struct {
	walk        savedWalk
	grants      map[string]pricing.Granted
	real, would *ledger.Image
	pairs       []pairImage
	freezes     []freezer
}

type pairImage struct {
	head             savedPair
	granted          map[string]pricing.Granted
	topped, toppedBy map[string]toppedUp // by the live prices, by the candidate
	live, cand       *ledger.Image
	tally            *tally.Image
}

// freezer is what keeps an image as it is, while it goes on itself.
type freezer interface {
	Freeze()
	Thaw()
}

// Freeze keeps the image as it is while the walk goes on, until Thaw. The walk
// stands still during both.
func (i *Image) Freeze() {
	for _, f := range i.freezes {
		f.Freeze()
	}
}

// Thaw ends what Freeze began; the image is of no use any more.
func (i *Image) Thaw() {
	for _, f := range i.freezes {
		f.Thaw()
	}
}

// Image is the walk as it is now, with candidates, and with what they have
// counted or without. Unless it is frozen it is good until the walk goes on.
func (w *Walk) Image(pairs []*Pair, counted bool) (*Image, error) {
	w.flush()
	i := &Image{walk: savedWalk{Place: w.place, Would: w.would != nil}, grants: w.grants.Image(), freezes: []freezer{w.grants, w.real}}
	if counted {
		i.walk.Keys, i.walk.Tools = w.numbers.keys, w.numbers.tools
	}
	var err error
	if i.real, err = w.real.Image(w.place.At); err != nil {
		return nil, err
	}
	if w.would != nil {
		i.freezes = append(i.freezes, w.would)
		if i.would, err = w.would.Image(w.place.At); err != nil {
			return nil, err
		}
	}
	for _, p := range pairs {
		if err := i.pair(w, p, counted); err != nil {
			return nil, err
		}
	}
	return i, nil
}

func (i *Image) pair(w *Walk, p *Pair, counted bool) (err error) {
	out := pairImage{head: savedPair{Running: slices.Contains(w.pairs, p), Live: p.live != nil, Counted: counted, Added: p.plans.Added, Expired: p.plans.Expired,
		PaidLive: p.paid[0].saved(), Paid: p.paid[1].saved(), Real: p.real.saved()},
		granted: p.plans.granted.Image(), topped: p.topped.Image(), toppedBy: p.plans.topped.Image()}
	i.freezes = append(i.freezes, p.plans.granted, p.plans.topped, p.topped, p.cand)
	if out.cand, err = p.cand.Image(w.place.At); err != nil {
		return err
	}
	if p.live != nil {
		i.freezes = append(i.freezes, p.live)
		if out.live, err = p.live.Image(w.place.At); err != nil {
			return err
		}
	}
	if counted {
		i.freezes = append(i.freezes, p.Tally)
		out.tally = p.Tally.Image()
	}
	i.pairs = append(i.pairs, out)
	return nil
}

// Place is how far the walk had come.
func (i *Image) Place() Place { return i.walk.Place }

// Encode writes the walk, without its candidates.
func (i *Image) Encode(to *gob.Encoder) error {
	err := errors.Join(to.Encode(&i.walk), to.Encode(i.grants), i.real.Encode(to))
	if i.would != nil && err == nil {
		err = i.would.Encode(to)
	}
	return err
}

// EncodePair writes a candidate by its place among those that Image was given.
func (i *Image) EncodePair(to *gob.Encoder, n int) error {
	p := &i.pairs[n]
	err := errors.Join(to.Encode(&p.head), to.Encode(p.granted), to.Encode(p.topped), to.Encode(p.toppedBy), p.cand.Encode(to))
	if err == nil && p.live != nil {
		err = p.live.Encode(to)
	}
	if err == nil && p.tally != nil {
		err = p.tally.Encode(to)
	}
	return err
}

// Load goes on from where an encoded walk was, without candidates.
func Load(o Options, from *gob.Decoder) (*Walk, error) {
	var c savedWalk
	if err := from.Decode(&c); err != nil {
		return nil, err
	}
	if !has(o, c.Place) {
		return nil, errors.New("it is of another journal")
	}
	granted := map[string]pricing.Granted{}
	if err := from.Decode(&granted); err != nil {
		return nil, err
	}
	w := &Walk{o: o, past: newPast(o.SheetOf), numbers: newNumbers(c.Keys, c.Tools), grants: newGrants(granted), place: c.Place}
	var err error
	if w.real, err = ledger.DecodeScenario(from, w.then, o.SheetOf); err != nil {
		return nil, err
	}
	w.real.Takes = notObserved
	if c.Would {
		if w.would, err = ledger.DecodeScenario(from, w.then, o.SheetOf); err != nil {
			return nil, err
		}
		w.would.Takes = observed
	}
	return w, nil
}

// has says whether the journal has the block that a walk has come to, as it was.
func has(o Options, at Place) bool {
	found := false
	err := journal.Blocks(nil, o.DB, at.Last-1, func(raw []byte) (bool, error) {
		_, end, _, err := journal.Link(raw)
		sum := sha256.Sum256(raw)
		found = err == nil && end == at.Last && hex.EncodeToString(sum[:]) == at.Digest
		return false, err
	})
	return err == nil && found
}

// LoadPair goes on with a candidate that was encoded after the walk. It counts on
// from where it was; a tally that is given takes the place of what it had counted.
func (w *Walk) LoadPair(from *gob.Decoder, sheet *pricing.Sheet, instead *tally.Tally) (*Pair, error) {
	var s savedPair
	granted, topped, toppedBy := map[string]pricing.Granted{}, map[string]toppedUp{}, map[string]toppedUp{}
	for _, v := range []any{&s, &granted, &topped, &toppedBy} {
		if err := from.Decode(v); err != nil {
			return nil, err
		}
	}
	p := w.pair(sheet, nil)
	p.paid[0], p.paid[1], p.real = s.PaidLive.amounts(), s.Paid.amounts(), s.Real.amounts()
	p.plans = newPlanner(sheet, p.judgedBy, newGrants(granted))
	p.plans.Added, p.plans.Expired = s.Added, s.Expired
	p.plans.topped, p.topped = newTopUps(toppedBy), newTopUps(topped)
	cand, err := ledger.DecodeScenario(from, p.candidate, w.o.SheetOf)
	if err != nil {
		return nil, err
	}
	p.take(cand)
	if s.Live {
		live, err := ledger.DecodeScenario(from, p.judgedBy, w.o.SheetOf)
		if err != nil {
			return nil, err
		}
		p.owns(live)
	}
	if s.Counted {
		if p.Tally, err = tally.Decode(from); err != nil {
			return nil, err
		}
	}
	if instead != nil {
		p.Tally = instead
	}
	if p.Tally == nil {
		return nil, errors.New("it has no counts")
	}
	if s.Running {
		w.pairs = append(w.pairs, p)
	}
	return p, nil
}
