package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/store"
	"paygate/store/journal"
)

// Holds that outlive their request: reservations that an admin makes, here,
// and calls that are parked, in park.go.

// What can be wrong with a hold.
var (
	ErrNoHold       = errors.New("no such hold: it was taken, given back, or its time is over")
	ErrTooManyHolds = errors.New("too many reservations on one key")
)

// MostHolds is how many reservations a key may have at a time.
const MostHolds = 50

// hold is a durable promise of credits.
type hold struct {
	journal.Hold
	seq  uint64 // of the event that made it
	call *Call  // of a parked call; its credits are held as any call's
	busy bool   // a request is answering the parked call
	lost bool   // the parked call waited in a process that has ended
}

func (s *State) put(h *hold) {
	s.holds[h.ID] = h
	s.hold(s.of(journal.KeyAccount(h.Key)), h.Credits)
}

// putAll makes the reservations of other books count here too.
func (s *State) putAll(holds map[string]*hold) {
	for _, h := range holds {
		if h.call == nil {
			s.put(h)
		}
	}
}

// dropHolds forgets all that is promised.
func (s *State) dropHolds() {
	clear(s.holds)
	for _, o := range s.list {
		if o != nil {
			s.hold(o, -o.held)
			for k := range o.meters {
				o.meters[k].held = 0
			}
		}
	}
}

// lift ends a reservation; at boot it may be one that was never put back.
func (s *State) lift(id string) {
	if h := s.holds[id]; h != nil {
		delete(s.holds, id)
		s.hold(s.of(journal.KeyAccount(h.Key)), -h.Credits)
	}
}

// HoldRequest asks for a reservation.
type HoldRequest struct {
	ID      string
	Key     string // stable id
	Credits pricing.Credits
	TTL     time.Duration
	Actor   string
	Memo    string
	Data    json.RawMessage // of the audit event
}

// Hold reserves credits of a key until it is committed, released or its time
// is over. The error wraps ErrInsufficient or ErrTooManyHolds.
func (b *Book) Hold(ctx context.Context, r HoldRequest) (journal.Hold, error) {
	var made journal.Hold
	err := b.Apply(ctx, func(t *Tx) error {
		var err error
		made, err = t.Hold(r)
		return err
	})
	return made, err
}

// Hold is Book.Hold as part of a larger mutation.
func (t *Tx) Hold(r HoldRequest) (journal.Hold, error) {
	h := journal.Hold{ID: r.ID, Key: r.Key, Credits: r.Credits, Made: t.now, Until: t.now.Add(r.TTL), Memo: r.Memo}
	if have := t.Available(journal.KeyAccount(r.Key)); have < r.Credits {
		return h, fmt.Errorf("reservation of %d with %d available: %w", r.Credits, have, ErrInsufficient)
	}
	if len(t.b.reservations(r.Key)) >= MostHolds {
		return h, fmt.Errorf("reservation: %w (at most %d)", ErrTooManyHolds, MostHolds)
	}
	if err := t.Append(journal.Event{Type: journal.TypeReserved, Actor: r.Actor, Subject: r.Key, Hold: &h, Data: r.Data}); err != nil {
		return h, err
	}
	return h, putHold(t.Tx, &hold{Hold: h, seq: t.b.seq + uint64(len(t.events))})
}

// CommitHold takes what was reserved: it is spent. ErrNoHold if it is not
// there any more.
func (b *Book) CommitHold(ctx context.Context, id, actor string, data json.RawMessage) (h journal.Hold, err error) {
	err = b.Apply(ctx, func(t *Tx) error {
		h, err = t.CommitHold(id, actor, data)
		return err
	})
	return h, err
}

// ReleaseHold gives back what was reserved. ErrNoHold if it is not there any
// more.
func (b *Book) ReleaseHold(ctx context.Context, id, actor string, data json.RawMessage) (h journal.Hold, err error) {
	err = b.Apply(ctx, func(t *Tx) error {
		h, err = t.ReleaseHold(id, actor, data)
		return err
	})
	return h, err
}

// Reservation is the reservation with an id, if it is there.
func (t *Tx) Reservation(id string) (journal.Hold, bool) {
	h := t.b.real.holds[id]
	if h == nil || h.call != nil {
		return journal.Hold{}, false
	}
	return h.Hold, true
}

// CommitHold is Book.CommitHold as part of a larger mutation.
func (t *Tx) CommitHold(id, actor string, data json.RawMessage) (journal.Hold, error) {
	return t.endHold(id, journal.Event{Type: journal.TypeCommit, Actor: actor, Data: data})
}

// ReleaseHold is Book.ReleaseHold as part of a larger mutation.
func (t *Tx) ReleaseHold(id, actor string, data json.RawMessage) (journal.Hold, error) {
	return t.endHold(id, journal.Event{Type: journal.TypeRelease, Actor: actor, Data: data})
}

func (t *Tx) endHold(id string, e journal.Event) (journal.Hold, error) {
	h := t.b.real.holds[id]
	if h == nil || h.call != nil || e.Type == journal.TypeCommit && !t.now.Before(h.Until) {
		return journal.Hold{}, fmt.Errorf("reservation %s: %w", id, ErrNoHold)
	}
	ended := h.Hold
	e.Subject, e.Hold = h.Key, &ended
	if e.Type == journal.TypeCommit {
		e.Posts = []journal.Entry{{ID: "commit:" + id, From: journal.KeyAccount(h.Key), To: journal.Revenue, Amount: h.Credits, Kind: kindReserve, Ref: h.Memo}}
	}
	if err := t.Append(e); err != nil {
		return ended, err
	}
	return ended, t.Delete(bucketHolds, []byte(id))
}

// Holds are the reservations of a key, or of all keys for "", oldest first.
func (b *Book) Holds(key string) []journal.Hold {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []journal.Hold
	for _, h := range b.reservations(key) {
		out = append(out, h.Hold)
	}
	return out
}

// reservations are a key's holds without a call, oldest first. Behind mu.
func (b *Book) reservations(key string) []*hold {
	var out []*hold
	for _, h := range b.real.holds {
		if h.call == nil && (key == "" || h.Key == key) {
			out = append(out, h)
		}
	}
	sortHolds(out)
	return out
}

func sortHolds(holds []*hold) {
	slices.SortFunc(holds, func(a, b *hold) int { return cmp.Compare(a.seq, b.seq) })
}

// sweep ends the holds whose time is over.
func (b *Book) sweep() {
	b.mu.Lock()
	b.sayDropped()
	now := b.now()
	var over []*hold
	for _, h := range b.real.holds {
		if (h.lost || !now.Before(h.Until)) && !h.busy {
			over = append(over, h)
		}
	}
	sortHolds(over)
	for _, h := range over {
		if h.call == nil {
			b.applies = append(b.applies, &apply{fn: b.expire(h.ID), done: make(chan struct{})})
			b.kick()
		}
	}
	b.mu.Unlock()
	for _, h := range over {
		if h.call != nil {
			b.lapse(h)
		}
	}
}

func (b *Book) expire(id string) func(*Tx) error {
	return func(t *Tx) error {
		h := b.real.holds[id]
		if h == nil {
			return nil
		}
		ended := h.Hold
		err := t.Append(journal.Event{Type: journal.TypeRelease, Actor: "system", Subject: h.Key, Hold: &ended, Data: []byte(`{"reason":"expired"}`)})
		if err != nil {
			return err
		}
		return t.Delete(bucketHolds, []byte(id))
	}
}

// holdRecord is a hold in the file.
type holdRecord struct {
	Hold journal.Hold `json:"hold"`
	Seq  uint64       `json:"seq"`
	Call []byte       `json:"call,omitempty"` // a block with one admission
	Here bool         `json:"here,omitempty"` // the call waits in the process that wrote this
}

func putHold(tx *store.Tx, h *hold) error {
	r := holdRecord{Hold: h.Hold, Seq: h.seq}
	if h.call != nil {
		r.Here = h.call.Here
		r.Call = journal.Encode(journal.Hash{}, h.call.AdmitSeq, h.call.AdmitSeq, nil, []*journal.Call{&h.call.Call})
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("hold %s: %w", h.ID, err)
	}
	return tx.Put(bucketHolds, []byte(h.ID), raw)
}

func decodeHold(raw []byte) (*hold, error) {
	var r holdRecord
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("hold: %w", err)
	}
	h := &hold{Hold: r.Hold, seq: r.Seq}
	if r.Call == nil {
		return h, nil
	}
	block, err := journal.Decode(r.Call)
	if err != nil || len(block.Acts) != 1 || block.Acts[0].Admit == nil {
		return nil, fmt.Errorf("hold %s: its call cannot be read: %w", h.ID, err)
	}
	h.call = &Call{Call: *block.Acts[0].Admit, Here: r.Here}
	return h, nil
}
