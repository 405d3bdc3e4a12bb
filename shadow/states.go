package shadow

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"paygate/shadow/walk"
	"paygate/store"
)

// From time to time the lab keeps the books of then, its candidates' too, so
// that who asks about a late stretch of the past does not live through all that
// was before. They are in the checkpoint's file; without them it only takes
// longer.
const (
	stateBucket = "states"      // last act and part → a piece
	headBucket  = "state-heads" // last act → stateHead
	stateEvery  = 1 << 20       // acts: half a million calls are lived through in half a second
	mostStates  = 32
	mostInAll   = 256 << 20 // bytes
)

// stateHead is what is asked about a state before it is read.
type stateHead struct {
	Last uint64    `json:"last"`
	At   time.Time `json:"at"` // of the newest act that is in
	Size int       `json:"size"`
}

func (h stateHead) key() []byte { return binary.BigEndian.AppendUint64(nil, h.Last) }

// heads are the states that are kept, oldest first.
func heads(s *store.Snapshot) (out []stateHead) {
	s.Ascend(headBucket, nil, func(_, raw []byte) bool {
		var h stateHead
		if json.Unmarshal(raw, &h) == nil {
			out = append(out, h)
		}
		return true
	})
	return out
}

// keepState keeps the state of a journey between two blocks. Behind mu.
func (l *Lab) keepState(j *journey) error {
	at := j.Place()
	if l.o.Dir == "" || at.Last == 0 || at.Last == l.stateAt {
		return nil
	}
	i, err := j.image(false)
	if err != nil {
		return err
	}
	var raw pieces
	if err := i.encode(&raw); err != nil {
		return err
	}
	db, err := l.file()
	if err != nil {
		return err
	}
	h := stateHead{Last: at.Last, At: at.At, Size: raw.size()}
	err = db.Update(func(tx *store.Tx) error {
		head, err := json.Marshal(h)
		if err != nil {
			return fmt.Errorf("state: %w", err)
		}
		for _, old := range heads(&tx.Snapshot) {
			if old.Last == h.Last {
				err = errors.Join(err, dropState(tx, old))
			}
		}
		if err := errors.Join(err, tx.Put(headBucket, h.key(), head), raw.put(tx, stateBucket, h.key())); err != nil {
			return err
		}
		for _, old := range tooMany(heads(&tx.Snapshot)) {
			if err := dropState(tx, old); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	l.stateAt = at.Last
	return nil
}

func dropState(tx *store.Tx, h stateHead) error {
	err := tx.Delete(headBucket, h.key())
	for i := 0; i*pieceBytes < h.Size; i++ {
		err = errors.Join(err, tx.Delete(stateBucket, binary.BigEndian.AppendUint32(h.key(), uint32(i))))
	}
	return err
}

// tooMany are the states that go when there are too many: again and again the
// one whose neighbours are closest, never the newest.
func tooMany(list []stateHead) (gone []stateHead) {
	size := 0
	for _, h := range list {
		size += h.Size
	}
	for len(list) > 1 && (len(list) > mostStates || size > mostInAll) {
		least := 0
		gap := func(i int) uint64 {
			before := uint64(0)
			if i > 0 {
				before = list[i-1].Last
			}
			return list[i+1].Last - before
		}
		for i := range len(list) - 1 {
			if gap(i) < gap(least) {
				least = i
			}
		}
		gone, size = append(gone, list[least]), size-list[least].Size
		list = slices.Delete(list, least, least+1)
	}
	return gone
}

// passing keeps states of the lab's own journey as it goes on. Behind mu.
func (l *Lab) passing(j *journey) func(walk.Place) bool {
	if l.o.Dir == "" {
		return nil
	}
	return func(at walk.Place) bool {
		if at.Last < l.stateAt+l.stateEvery {
			return true
		}
		if err := l.keepState(j); err != nil {
			l.o.Log.Warn("a state of the lab could not be kept; asking about late stretches takes longer", "error", err)
			l.stateAt = at.Last // not again at once
		}
		return true
	}
}

// keepThen keeps the state of a moment at which prices are about to change: a
// rollback asks about what comes next. Without it that takes longer.
func (l *Lab) keepThen(ctx context.Context) {
	if err := l.keepNow(ctx); err != nil && ctx.Err() == nil {
		l.o.Log.Warn("the lab's state at a promotion could not be kept; what a rollback gives back takes longer to find", "error", err)
	}
}

// keepNow keeps the state of this moment.
func (l *Lab) keepNow(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.advance(ctx); err != nil {
		return err
	}
	return l.keepState(l.j)
}

// nearest is a journey that goes on from the newest kept state before a time, with
// candidates that count within a window; from the journal's beginning when none
// is kept.
func (l *Lab) nearest(from time.Time, window Window) (*journey, error) {
	if !from.IsZero() && l.o.Dir != "" {
		list, read, err := l.states()
		if err != nil {
			return nil, err
		}
		for _, h := range slices.Backward(list) {
			if !h.At.Before(from) {
				continue
			}
			raw, err := read(h)
			if err != nil {
				return nil, err
			}
			if j, err := l.decode(raw, &window); err == nil { // else it is of no use: an older one may be
				return j, nil
			}
		}
	}
	return l.journey(window)
}

// nearestAlone is nearest without candidates.
func (l *Lab) nearestAlone(from time.Time) (*walk.Walk, error) {
	j, err := l.nearest(from, Window{})
	if err != nil {
		return nil, err
	}
	j.Alone()
	return j.Walk, nil
}

// states are those that are kept, and how to read one.
func (l *Lab) states() (list []stateHead, read func(stateHead) (pieces, error), err error) {
	db, err := l.file()
	if err != nil {
		return nil, nil, err
	}
	err = db.View(func(s *store.Snapshot) error {
		list = heads(s)
		return nil
	})
	return list, func(h stateHead) (raw pieces, err error) {
		err = db.View(func(s *store.Snapshot) error {
			raw = parts(s, stateBucket, h.key())
			return nil
		})
		return raw, err
	}, err
}

// went is where an experiment's prices began to be charged; zero: nowhere.
func (e *Experiment) went() time.Time {
	if e.Going == nil || e.Going.Since == nil {
		return time.Time{}
	}
	return *e.Going.Since
}
