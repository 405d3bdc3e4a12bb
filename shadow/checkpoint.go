package shadow

import (
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"paygate/shadow/tally"
	"paygate/shadow/trial"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// CheckpointFile is the file in the state folder with what the lab has lived
// through, so that it goes on from there after a start. It has a writer of its
// own: the lab never waits on money nor money on it. It may be deleted at any
// time; then the journal is lived through again.
const CheckpointFile = "shadow.db"

const (
	form       = 5               // of a checkpoint; another one is not read
	saveEvery  = 5 * time.Second // at least
	saveShare  = 20              // and at most one part in so many of the time
	partBucket = "checkpoint"
)

// checkpoint is the lab between two blocks.
type checkpoint struct {
	Form        int
	Last        uint64
	At          time.Time
	Digest      string
	Differs     int
	Keys, Tools []string
	Grants      grants
	Real, Would []byte
	Pairs       int // that follow
}

type savedPair struct {
	Mark           mark
	From           time.Time
	Running        bool
	Stages         []trial.Stage
	Ended          *time.Time
	Live, Cand     []byte       // scenarios; no live: it is as reality
	Tally          *tally.Tally // but for its keys
	ByKey          []byte
	Plans          *planner
	Topped         topUps // by the live prices
	PaidLive, Paid savedAmounts
	Real           savedAmounts
}

// encode is a walk and its candidates as they are between two blocks, with what
// they have counted or without.
func encode(w *walker, pairs map[string]*tracked, counted bool) (pieces, error) {
	c := checkpoint{Form: form, Last: w.last, At: w.at, Digest: w.digest, Differs: w.differs, Grants: w.grants, Pairs: len(pairs)}
	if counted {
		c.Keys, c.Tools = w.numbers.keys, w.numbers.tools
	}
	var out pieces
	var err error
	save := func(s *ledger.Scenario) (raw []byte) {
		if s != nil && err == nil {
			raw, err = s.Save(w.at)
		}
		return raw
	}
	c.Real, c.Would = save(w.real), save(w.would)
	to := gob.NewEncoder(&out)
	err = errors.Join(err, to.Encode(c))
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		t := pairs[name]
		p := t.pair
		var counts *tally.Tally
		var keys []byte
		if counted {
			counts, keys = p.tally.Pack()
		}
		err = errors.Join(err, to.Encode(savedPair{Mark: t.mark, From: t.from, Stages: t.stages, Ended: t.ended, Running: slices.Contains(w.pairs, p), Live: save(p.live), Cand: save(p.cand),
			Tally: counts, ByKey: keys, Plans: p.plans, Topped: p.topped, PaidLive: p.paid[0].saved(), Paid: p.paid[1].saved(), Real: p.real.saved()}))
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return out, nil
}

// decode goes on from a state. The candidates count on from where they were, or
// anew within a window.
func (l *Lab) decode(raw pieces, window *Window) (*walker, map[string]*tracked, error) {
	var c checkpoint
	from := gob.NewDecoder(raw.reader())
	if err := from.Decode(&c); err != nil {
		return nil, nil, fmt.Errorf("checkpoint: %w", err)
	}
	if c.Form != form || !l.has(c.Last, c.Digest) {
		return nil, nil, errors.New("it is of another journal or another version")
	}
	w, err := l.walkerOf(&c)
	if err != nil {
		return nil, nil, err
	}
	pairs := map[string]*tracked{}
	for range c.Pairs {
		var s savedPair
		if err := from.Decode(&s); err != nil {
			return nil, nil, fmt.Errorf("checkpoint: %w", err)
		}
		if window == nil {
			if err = s.Tally.Unpack(s.ByKey); err != nil {
				return nil, nil, fmt.Errorf("checkpoint: %w", err)
			}
		} else {
			if window.From.After(s.From) {
				s.From = window.From
			}
			s.Tally = tally.New(tally.Window{From: s.From, To: window.To})
		}
		p, err := l.pairOf(w, s)
		if err != nil {
			return nil, nil, fmt.Errorf("experiment %s: %w", s.Mark.Name, err)
		}
		pairs[s.Mark.Name] = &tracked{mark: s.Mark, from: s.From, stages: s.Stages, ended: s.Ended, pair: p}
	}
	if window == nil {
		window = &Window{}
	}
	l.follow(w, pairs, *window)
	return w, pairs, nil
}

// walkerOf is the walk of a checkpoint, without candidates.
func (l *Lab) walkerOf(c *checkpoint) (*walker, error) {
	w := &walker{db: l.o.Book.DB(), past: newPast(l.sheet), numbers: newNumbers(c.Keys, c.Tools), grants: c.Grants,
		newest: l.o.Book.Journal().Last, last: c.Last, at: c.At, digest: c.Digest, differs: c.Differs}
	if w.grants == nil {
		w.grants = grants{}
	}
	var err error
	if w.real, err = ledger.LoadScenario(c.Real, w.then, l.sheet); err != nil {
		return nil, err
	}
	w.real.Takes = notObserved
	if c.Would != nil {
		if w.would, err = ledger.LoadScenario(c.Would, w.then, l.sheet); err != nil {
			return nil, err
		}
		w.would.Takes = observed
	}
	return w, nil
}

func (l *Lab) pairOf(w *walker, s savedPair) (*pair, error) {
	sheet, err := l.sheet(s.Mark.Candidate)
	if err != nil {
		return nil, err
	}
	p := w.pair(sheet, s.Tally)
	p.paid[0], p.paid[1], p.real = s.PaidLive.amounts(), s.Paid.amounts(), s.Real.amounts()
	p.plans = newPlanner(sheet, p.judgedBy, s.Plans.Granted)
	p.plans.Added, p.plans.Expired = s.Plans.Added, s.Plans.Expired
	maps.Copy(p.plans.Topped, s.Plans.Topped)
	maps.Copy(p.topped, s.Topped)
	cand, err := ledger.LoadScenario(s.Cand, p.candidate, l.sheet)
	if err != nil {
		return nil, err
	}
	p.take(cand)
	if s.Live != nil {
		live, err := ledger.LoadScenario(s.Live, p.judgedBy, l.sheet)
		if err != nil {
			return nil, err
		}
		p.owns(live)
	}
	if s.Running {
		w.pairs = append(w.pairs, p)
	}
	return p, nil
}

// has says whether the journal has the block that ends with an act, as it was.
func (l *Lab) has(last uint64, digest string) bool {
	found := false
	err := journal.Blocks(nil, l.o.Book.DB(), last-1, func(raw []byte) (bool, error) {
		_, end, _, err := journal.Link(raw)
		sum := sha256.Sum256(raw)
		found = err == nil && end == last && hex.EncodeToString(sum[:]) == digest
		return false, err
	})
	return err == nil && found
}

// checkpoint saves. The lab goes on without when that fails: the journal has
// all there is, only the next start takes longer.
func (l *Lab) checkpoint() {
	if err := l.save(false); err != nil {
		l.o.Log.Warn("the lab's checkpoint could not be written; it is tried again in a minute", "error", err)
		l.mu.Lock()
		l.saveAt = l.o.Now().Add(time.Minute)
		l.mu.Unlock()
	}
}

// save writes a checkpoint if one is due.
func (l *Lab) save(force bool) error {
	l.mu.Lock()
	now := l.o.Now()
	if l.o.Dir == "" || l.w == nil || l.w.last == l.saved || !force && now.Before(l.saveAt) {
		l.mu.Unlock()
		return nil
	}
	raw, err := encode(l.w, l.pairs, true)
	last := l.w.last
	l.mu.Unlock()
	if err != nil {
		return err
	}
	db, err := l.file()
	if err != nil {
		return err
	}
	err = db.Update(func(tx *store.Tx) error {
		if err := tx.Drop(partBucket); err != nil {
			return err
		}
		return raw.put(tx, partBucket, nil)
	})
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	took := l.o.Now().Sub(now)
	l.saved, l.saveAt = last, now.Add(max(saveEvery, saveShare*took))
	return nil
}

// restore is the state of the last checkpoint; nil: there is none that can be
// gone on from. Behind mu.
func (l *Lab) restore() (*walker, map[string]*tracked) {
	if l.o.Dir == "" {
		return nil, nil
	}
	if _, err := os.Stat(filepath.Join(l.o.Dir, CheckpointFile)); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	raw, err := l.parts()
	if list, _, failed := l.states(); failed == nil && len(list) > 0 {
		l.stateAt = list[len(list)-1].Last
	}
	if err == nil && raw == nil {
		return nil, nil
	}
	if err == nil {
		w, pairs, bad := l.decode(raw, nil)
		if bad == nil {
			l.saved, l.alarm = w.last, w.differs
			l.differs.Store(int64(w.differs))
			return w, pairs
		}
		err = bad
	}
	l.o.Log.Warn("the lab's checkpoint is of no use; it lives through the journal again", "file", CheckpointFile, "error", err)
	return nil, nil
}

func (l *Lab) parts() (raw pieces, err error) {
	db, err := l.file()
	if err != nil {
		return nil, err
	}
	err = db.View(func(s *store.Snapshot) error {
		raw = parts(s, partBucket, nil)
		return nil
	})
	return raw, err
}

// file is the open checkpoint file. One that is damaged is made anew: all that
// it had is in the journal.
func (l *Lab) file() (*store.DB, error) {
	l.files.Lock()
	defer l.files.Unlock()
	if l.db != nil {
		return l.db, nil
	}
	db, err := store.Open(l.o.Dir, store.Options{File: CheckpointFile})
	if errors.Is(err, store.ErrCorrupt) {
		if err = os.Remove(filepath.Join(l.o.Dir, CheckpointFile)); err == nil {
			db, err = store.Open(l.o.Dir, store.Options{File: CheckpointFile})
		}
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	l.db = db
	return db, nil
}

// Close writes a last checkpoint and lets go of its file.
func (l *Lab) Close() error {
	err := l.save(true)
	l.files.Lock()
	defer l.files.Unlock()
	if l.db != nil {
		err = errors.Join(err, l.db.Close())
		l.db = nil
	}
	return err
}
