package shadow

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/shadow/tally"
	"paygate/shadow/walk"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// owed is a call that cost more than it would have.
type owed struct {
	event  *journal.Event
	amount pricing.Credits
}

// kept is a copy of a call's event, which the walk uses again.
func kept(e *journal.Event) *journal.Event {
	c := *e.Call
	c.Limits = slices.Clone(c.Limits)
	return &journal.Event{Seq: e.Seq, At: e.At, Type: e.Type, Subject: e.Subject, Call: &c}
}

// charged says whether a sheet is one that the experiment made keys pay by.
func (e *Experiment) charged(sheet string) bool {
	return sheet == e.Candidate || e.Going != nil && sheet == e.Going.Charged
}

// made says whether a call cost what it did because of the experiment. What was
// admitted after its end was priced by another decision, if at the same prices.
func (e *Experiment) made(c *journal.Call) bool {
	return e.charged(c.Sheet) && (e.Ended == nil || !c.At.After(e.Ended.Add(afterwards)))
}

const refundsAtATime = 200

// open counts the calls that were admitted at an experiment's prices and have
// not ended.
func (l *Lab) open(e *Experiment) int {
	return l.o.Book.Open(func(c *journal.Call) bool { return !c.Observed && e.made(c) })
}

// makeGood gives back what is owed; one at a time. last is the one that comes by
// itself after the last call has ended.
func (l *Lab) makeGood(ctx context.Context, name string, out *RolledBackTo, last bool, actor string) error {
	l.making.Lock()
	defer l.making.Unlock()
	defer l.settled.Store(false)
	e, err := l.Experiment(name)
	if err != nil {
		return err
	}
	out.Before, out.Open = e.MadeGood, l.open(e) // counted before: who has ended by then is in the list
	list, err := l.owed(ctx, e)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(list, refundsAtATime) {
		if _, err := l.change(ctx, name, func(tx *ledger.Tx, e *Experiment) error { return refund(tx, e, part, actor) }); err != nil {
			return err
		}
	}
	l.sum(out, list)
	_, err = l.change(ctx, name, func(tx *ledger.Tx, e *Experiment) error {
		m := e.mark()
		m.Credits, m.Open = e.MadeGood, out.Open
		if last {
			m.By = e.Owes
		}
		if e.MadeWhole && !last && out.Total == 0 {
			return nil // asked again, and nothing was left
		}
		e.Owes, e.MadeWhole, e.Settled = cmp.Or(e.Owes, actor), out.Open == 0, last
		return tx.Append(event(eventMadeGood, actor, m))
	})
	return err
}

func refund(tx *ledger.Tx, e *Experiment, part []owed, actor string) error {
	for _, o := range part {
		if err := tx.Refund(o.event, o.amount, actor, "prices of "+e.Name+" were taken back"); err != nil {
			return err
		}
		e.MadeGood += o.amount
	}
	e.MadeTo, e.Owes = part[len(part)-1].event.Seq, cmp.Or(e.Owes, actor)
	return nil
}

// afterwards is how long after a rollback no call can begin any more at the
// prices that were taken back: a request that chose its sheet before has been
// admitted, or refused, by then.
const afterwards = 10 * time.Second

// rest makes good what a make-good that somebody asked for has left: calls that
// ended after it, or all that was to come when the gateway was killed. It tells
// whether there was anything to do.
func (l *Lab) rest(ctx context.Context) (bool, error) {
	if l.settled.Load() {
		return false, nil
	}
	l.settled.Store(true) // before it is read: who makes good meanwhile says otherwise
	all, err := l.Experiments()
	if err != nil {
		l.settled.Store(false)
		return false, err
	}
	for _, e := range all {
		if e.State != RolledBack || e.Owes == "" || e.Settled {
			continue
		}
		l.settled.Store(false)
		if l.o.Now().Sub(*e.Ended) >= afterwards && l.open(e) == 0 {
			return true, l.makeGood(ctx, e.Name, &RolledBackTo{}, true, byItself)
		}
	}
	return false, nil
}

// sum adds up by key what is owed.
func (l *Lab) sum(out *RolledBackTo, list []owed) {
	by := map[string]*MadeGood{}
	for _, o := range list {
		id := o.event.Call.Key
		if by[id] == nil {
			by[id] = &MadeGood{ID: id, Name: l.o.Name(id)}
		}
		by[id].Credits += o.amount
		by[id].Calls++
		out.Total += o.amount
	}
	for _, k := range by {
		out.Keys = append(out.Keys, *k)
	}
	slices.SortFunc(out.Keys, func(a, b MadeGood) int { return strings.Compare(a.ID, b.ID) })
}

// owed lives through the time that an experiment's prices were live under the
// old ones: what each call cost more, and was not given back already.
func (l *Lab) owed(ctx context.Context, e *Experiment) ([]owed, error) {
	if err := l.o.Book.Flush(ctx); err != nil {
		return nil, err
	}
	w, err := l.nearestAlone(e.went())
	if err != nil {
		return nil, err
	}
	sheet, err := l.sheet(e.Live)
	if err != nil {
		return nil, err
	}
	var list []owed
	back := map[uint64]pricing.Credits{}
	each := func(ev *journal.Event, price pricing.Credits) {
		c := ev.Call
		if more := c.Charged - price; e.made(c) && more > 0 && ev.Seq > e.MadeTo {
			list = append(list, owed{kept(ev), more})
		}
	}
	var old *walk.Pair
	w.Events(eventPrefix, func(ev *journal.Event) error {
		var m mark
		if err := json.Unmarshal(ev.Data, &m); err != nil {
			return fmt.Errorf("event %d: %w", ev.Seq, err)
		}
		if old == nil && m.Name == e.Name && (ev.Type == eventCanary || ev.Type == eventPromoted) {
			old = w.Begin(sheet, tally.New(tally.Window{}))
			old.Each = each
		}
		return nil
	})
	w.Refunds(func(seq uint64, n pricing.Credits) { back[seq] += n })
	if err := w.Go(ctx, math.MaxUint64, nil); err != nil {
		return nil, err
	}
	if old == nil {
		return nil, wrongState("experiment %s: the journal does not go back any more to where its prices began, so what calls cost more cannot be told", e.Name)
	}
	out := list[:0]
	for _, o := range list {
		if o.amount = min(o.amount, o.event.Call.Charged-back[o.event.Seq]); o.amount > 0 {
			out = append(out, o)
		}
	}
	return out, nil
}
