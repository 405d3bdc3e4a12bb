package ledger

import (
	"encoding/binary"
	"maps"

	"paygate/store"
	"paygate/store/journal"
)

// What a proof says of what is beside the sums: holds that outlive their
// request, and the record of entries that keeps them from being done twice.

// posting is an entry and the act that it is of.
type posting struct {
	id  string
	seq uint64
}

// follow keeps account of calls that have not ended.
func (f *refold) follow(act journal.Act) {
	e := act.Event
	switch {
	case e == nil:
		if !act.Ended {
			f.open[act.Admit.ID] = act.Admit
		}
	case e.Call != nil:
		delete(f.open, e.Call.ID)
		delete(f.parked, e.Call.ID)
	case e.Type == journal.TypeParked && e.Hold != nil:
		f.parked[e.Hold.ID] = &hold{Hold: *e.Hold, seq: e.Seq}
	case e.Type == journal.TypeBoot: // what was under way is over
		maps.DeleteFunc(f.open, func(id string, _ *journal.Call) bool { return f.parked[id] == nil })
	default:
		for _, p := range e.Posts {
			if p.Kind != kindRefund { // refunds are counted by their call
				f.posted = append(f.posted, posting{p.ID, e.Seq})
			}
		}
	}
}

// entries looks whether each entry is on record.
func (f *refold) entries() error {
	if len(f.posted) == 0 {
		return nil
	}
	err := f.db.View(func(s *store.Snapshot) error {
		for _, p := range f.posted {
			if seq, n := binary.Uvarint(s.Get(bucketActs, []byte(p.id))); n <= 0 || seq != p.seq {
				f.proof.fault("entry %s of act %d is not on record: it could be made again", p.id, p.seq)
			}
		}
		return nil
	})
	f.posted = f.posted[:0]
	return err
}

// holds compares reservations and parked calls.
func (f *refold) holds(live map[string]*hold) {
	for id, h := range live {
		if h.call != nil {
			f.parkedCall(h)
		} else if g := f.real.holds[id]; g == nil || !sameHold(h, g) {
			f.proof.fault("reservation %s of %d is not in the journal as it is in the books", id, h.Credits)
		}
	}
	for id, g := range f.real.holds {
		if live[id] == nil {
			f.proof.fault("reservation %s of %d is in the journal and not in the books", id, g.Credits)
		}
	}
	for id, g := range f.parked {
		if live[id] == nil {
			f.proof.fault("the call %s, which holds %d, waits in the journal and not in the books", id, g.Credits)
		}
	}
}

// parkedCall compares a parked call with its admission, as far as that is not
// trimmed.
func (f *refold) parkedCall(h *hold) {
	g := f.parked[h.ID]
	if g == nil {
		if h.seq > f.begin {
			f.proof.fault("the call %s, which holds %d, waits in the books and not in the journal", h.ID, h.Credits)
		}
		return
	}
	c, admitted := &h.call.Call, f.open[h.ID]
	if !sameHold(h, g) || admitted != nil && !sameCall(c, admitted) {
		f.proof.fault("the call %s waits in the books with other terms than in the journal", h.ID)
	}
}

func sameHold(a, b *hold) bool {
	return a.Key == b.Key && a.Credits == b.Credits && a.Memo == b.Memo && a.Made.UnixMilli() == b.Made.UnixMilli() && a.Until.UnixMilli() == b.Until.UnixMilli()
}

// sameCall compares what decides who pays how much.
func sameCall(a, b *journal.Call) bool {
	return a.ID == b.ID && a.AdmitSeq == b.AdmitSeq && a.Key == b.Key && a.Payer == b.Payer && a.Tool == b.Tool && a.Sheet == b.Sheet && a.Quote == b.Quote &&
		a.In == b.In && a.Group == b.Group && a.Plan == b.Plan && a.Observed == b.Observed && a.At.UnixMilli() == b.At.UnixMilli()
}
