package ledger

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"paygate/pricing"
	"paygate/store"
	"paygate/store/journal"
)

// ErrRefunded means that a call's charge has been given back already, as far
// as more would be asked.
var ErrRefunded = errors.New("that much of the call's charge is not left to refund")

// bucketRefunds has, by a call's number, how much of its charge was given back.
const bucketRefunds = "refunds"

// kindRefund is the entry that gives back what a call was charged.
const kindRefund = "refund"

// refunded is the Data of a refund: which call, and which meters counted it.
type refunded struct {
	Call   string          `json:"call"`
	Seq    uint64          `json:"seq"` // of the call's event
	At     int64           `json:"at"`  // its admission, Unix ms: the period its meters counted in
	Limits []journal.Limit `json:"limits,omitempty"`
	Reason string          `json:"reason,omitempty"`
}

// Refund gives back part or all of what a call was charged, to who paid it. e
// is the call's event as the journal has it. Together no more is given back
// than was charged: ErrRefunded.
func (t *Tx) Refund(e *journal.Event, amount pricing.Credits, actor, reason string) error {
	if e.Call == nil || amount <= 0 {
		return fmt.Errorf("refund of event %d: it charged nothing", e.Seq)
	}
	key := journal.Key(e.Seq)
	before, _ := binary.Uvarint(t.Get(bucketRefunds, key))
	if pricing.Credits(before)+amount > e.Call.Charged {
		return fmt.Errorf("refund of %d for call %s, which was charged %d and refunded %d: %w", amount, e.Call.ID, e.Call.Charged, before, ErrRefunded)
	}
	if err := t.Put(bucketRefunds, key, binary.AppendUvarint(nil, before+uint64(amount))); err != nil {
		return err
	}
	return t.Append(*refund(e, amount, before, actor, reason))
}

func refund(e *journal.Event, amount pricing.Credits, before uint64, actor, reason string) *journal.Event {
	c := e.Call
	d := refunded{Call: c.ID, Seq: e.Seq, At: c.At.UnixMilli(), Reason: reason}
	for _, l := range c.Limits {
		if l.Kind.InCredits() && string(l.Owner) != c.Payer {
			d.Limits = append(d.Limits, l)
		}
	}
	data, err := json.Marshal(d)
	if err != nil {
		data = nil // of strings and numbers: it cannot fail
	}
	return &journal.Event{Type: journal.TypeRefund, Actor: actor, Subject: c.Key, Data: data, Posts: []journal.Entry{{
		ID: fmt.Sprintf("refund:%d:%d", e.Seq, before), From: journal.Revenue, To: journal.Account(c.Payer), Amount: amount, Kind: kindRefund, Ref: c.ID}}}
}

// refundOf is the number of the call that a refund's event is about; 0: it does not say.
func refundOf(e *journal.Event) uint64 {
	var d refunded
	if json.Unmarshal(e.Data, &d) != nil {
		return 0
	}
	return d.Seq
}

// foldRefund takes what was given back out of the credit meters that counted
// it, if they are still in that period.
func (s *State) foldRefund(e *journal.Event) {
	var d refunded
	if len(e.Posts) != 1 || json.Unmarshal(e.Data, &d) != nil {
		return
	}
	at, p := journal.TimeOf(d.At), e.Posts[0]
	lower := func(owner journal.Account, k journal.Kind) {
		o := s.of(owner)
		if m := &o.meters[k]; s.misses(o) && k.InCredits() && m.period == k.Period(at) {
			m.used -= int64(p.Amount)
			s.touch(o)
		}
	}
	for _, k := range meterKinds {
		lower(p.To, k)
	}
	for _, l := range d.Limits {
		lower(l.Owner, l.Kind)
	}
}

// giveBack refunds calls whose callers were told that nothing happened: their
// commit failed, and was on disk all the same. Behind mu.
func (b *Book) giveBack(events []*journal.Event) {
	for _, e := range events {
		if e.Call != nil && e.Call.Charged > 0 {
			b.add(refund(e, e.Call.Charged, 0, "system", "the disk failed while the call was recorded"))
			b.writes = append(b.writes, func(tx *store.Tx) error {
				return tx.Put(bucketRefunds, journal.Key(e.Seq), binary.AppendUvarint(nil, uint64(e.Call.Charged)))
			})
		}
	}
}
