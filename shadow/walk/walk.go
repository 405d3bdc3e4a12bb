// Package walk lives through the journal again: with the ledger's own code, holds
// and limits included, under the prices of then and under any others beside them.
// It gives the counts of package tally. What comes and goes in a walk, and why, is
// the lab's; a walk can be kept between two blocks and gone on from.
package walk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"paygate/pricing"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// Walk lives through the journal once: with the books of then, which are the
// check on everything else, and with any number of candidates beside them.
//
// Blocks are read ahead by one goroutine, reality's books are in the caller's,
// and candidates are one block behind, each alone with its books: none can
// change another's result.
type Walk struct {
	o       Options
	past    past
	real    *ledger.Scenario // what was charged
	would   *ledger.Scenario // what shadow mode's books said; nil outside of it
	pairs   []*Pair
	numbers numbers
	grants  grants                              // what plans of the live prices have given
	next    batch                               // to be handed to candidates
	used    batch                               // what they are busy with
	busy    sync.WaitGroup                      // candidates at work
	prefix  string                              // of the types of what event sees
	event   func(*journal.Event) error          // may be nil
	refunds func(seq uint64, n pricing.Credits) // may be nil
	due     func(time.Time) bool                // says that onset is due; nil: it is not wanted
	onset   func() error

	place   Place
	closing time.Time // see CloseAt; zero: not, or no more
	err     error
}

// Options are what a Walk needs.
type Options struct {
	DB      *store.DB
	SheetOf SheetOf
	Newest  func() uint64 // act on disk: while it moves, the walk rests now and then; may be nil
}

// Place is how far a walk has come.
type Place struct {
	Last        uint64    // acts up to here are in
	At          time.Time // of the newest act
	Digest      string    // of the newest block, which chains all before it
	Differences int       // decisions and charges that were not what the journal says
}

// New is a walk that begins where the journal does.
func New(o Options) (*Walk, error) {
	w := &Walk{o: o, past: newPast(o.SheetOf), numbers: newNumbers(nil, nil), grants: newGrants(nil)}
	var err error
	if w.real, w.place.Last, err = ledger.FirstScenario(o.DB, w.then); err != nil {
		return nil, fmt.Errorf("shadow: %w", err)
	}
	w.real.Takes = notObserved
	if w.place.Last == 0 {
		return w, nil
	}
	if w.would, err = ledger.FirstWould(o.DB, w.then); err != nil { // the journal was trimmed
		return nil, fmt.Errorf("shadow: %w", err)
	}
	if w.would != nil {
		w.would.Takes = observed
	}
	return w, nil
}

// Place is how far it has come.
func (w *Walk) Place() Place { return w.place }

// Events lets fn see the events whose types begin with a prefix, when all
// candidates have lived through what was before.
func (w *Walk) Events(prefix string, fn func(*journal.Event) error) { w.prefix, w.event = prefix, fn }

// Refunds lets fn see what was given back, and of which call.
func (w *Walk) Refunds(fn func(seq uint64, n pricing.Credits)) { w.refunds = fn }

// Onset calls fn once, before the first act at a time that is due.
func (w *Walk) Onset(due func(time.Time) bool, fn func() error) { w.due, w.onset = due, fn }

// Alone lets all candidates go, and whoever sees events.
func (w *Walk) Alone() { w.pairs, w.event, w.due, w.onset = nil, nil, nil, nil }

func notObserved(c *journal.Call) bool { return !c.Observed }
func observed(c *journal.Call) bool    { return c.Observed }

// then is the sheet that a call was judged by.
func (w *Walk) then(c *journal.Call) *pricing.Sheet { return w.past.of(c, &w.err) }

var errEnd = errors.New("the end of the walk")

// Go goes on to the end of the journal, or to the block that has an act with the
// number to, or until progress, which is told of every block and may be nil, wants
// no more. When ctx ends it stops between two blocks.
func (w *Walk) Go(ctx context.Context, to uint64, progress func(Place) (more bool)) error {
	err := w.blocks(ctx, func(block *journal.Block, digest [sha256.Size]byte) error {
		if block.First > to {
			return errEnd
		}
		for i := range block.Acts {
			if seq := block.First + uint64(i); seq > w.place.Last {
				w.act(&block.Acts[i])
			}
			if len(w.next.steps) >= mostSteps {
				w.hand()
			}
		}
		w.hand()
		w.place.Last, w.place.Digest = block.Last, hex.EncodeToString(digest[:])
		if progress != nil && !progress(w.place) {
			return errEnd
		}
		return w.err
	})
	w.flush()
	if err == nil || errors.Is(err, errEnd) {
		err = errors.Join(ctx.Err(), w.err)
	}
	if err != nil {
		return fmt.Errorf("shadow: %w", err)
	}
	return nil
}

// Pending says whether a call that began at or before a time is under way where
// the walk has come to.
func (w *Walk) Pending(at time.Time) bool {
	for _, s := range []*ledger.Scenario{w.real, w.would} {
		if s == nil {
			continue
		}
		for c := range s.Open() {
			if !c.At.After(at) {
				return true
			}
		}
	}
	return false
}

// CloseAt makes Books those of a time: of before the first act that comes after
// it. Calls that began until then are counted when they end, however late.
func (w *Walk) CloseAt(at time.Time) { w.closing = at }

// close keeps what the books of every candidate come to.
func (w *Walk) close() {
	w.flush()
	w.closing = time.Time{}
	for _, p := range w.pairs {
		b := w.Books(p)
		p.closed = &b
	}
}

// mostSteps bounds what candidates are handed at a time, for blocks that are
// very long.
const mostSteps = 2048

// ahead is how many blocks are read before they are needed.
const ahead = 8

// reading is a block that was read ahead.
type reading struct {
	block  *journal.Block
	digest [sha256.Size]byte
}

// blocks calls fn with every block above last, in order, until it fails or ctx
// ends. Another goroutine reads ahead; it has ended when blocks returns. The
// memory of a block is used again when fn has seen the one after it: by then no
// candidate is busy with it.
func (w *Walk) blocks(ctx context.Context, fn func(*journal.Block, [sha256.Size]byte) error) error {
	ctx, stop := context.WithCancel(ctx)
	blocks, free, failed := make(chan reading, ahead), make(chan *journal.Block, ahead+4), make(chan error, 1)
	go func() {
		defer close(blocks)
		failed <- w.read(ctx, blocks, free)
	}()
	var err error
	var before *journal.Block
	for b := range blocks {
		if err = fn(b.block, b.digest); err != nil || ctx.Err() != nil {
			break
		}
		if before != nil {
			free <- before
		}
		before = b.block
	}
	stop()
	for range blocks { // until the reader has ended
	}
	return errors.Join(err, <-failed)
}

// read decodes block after block, into free ones if there are any.
func (w *Walk) read(ctx context.Context, to chan<- reading, free <-chan *journal.Block) error {
	var decoder journal.Decoder
	pace := journal.NewPace(w.o.Newest)
	return journal.Blocks(ctx.Done(), w.o.DB, w.place.Last, func(raw []byte) (bool, error) {
		var block *journal.Block
		select {
		case block = <-free:
		default:
			block = &journal.Block{}
		}
		if err := decoder.Decode(raw, block); err != nil {
			return false, err
		}
		select {
		case to <- reading{block, sha256.Sum256(raw)}:
			pace.Count(ctx.Done(), len(block.Acts))
			return true, nil
		case <-ctx.Done():
			return false, nil
		}
	})
}

// batch is acts that candidates have yet to live through, and what reality's
// books said of them.
type batch struct {
	steps    []step
	verdicts []ledger.Verdict
}

// step is one act; its verdicts are those of the batch from first on.
type step struct {
	act          journal.Act
	first, count int32
	key, tool    int32 // of the call that was admitted or ended; -1: there is none
}

// keyOf is the number of a call's key; calls of a batch are told with the last.
func (s *step) keyOf(c *journal.Call) int32 {
	if a := s.act.Admit; a == nil || a.Key != c.Key {
		return -1
	}
	return s.key
}

func (w *Walk) act(a *journal.Act) {
	at := timeOf(a)
	if w.due != nil && w.due(at) {
		w.flush()
		w.due = nil
		w.err = errors.Join(w.err, w.onset())
	}
	if !w.closing.IsZero() && at.After(w.closing) {
		w.close()
	}
	if at.After(w.place.At) {
		w.place.At = at
	}
	real := w.real.Act(*a)
	w.compare(real)
	if w.would != nil {
		w.compare(w.would.Act(*a))
	}
	if len(w.pairs) > 0 {
		w.keep(a, real)
	}
	if e := a.Event; e != nil && e.Call == nil {
		w.other(e)
	}
}

// keep puts an act by for the candidates. A scenario uses its verdicts again.
func (w *Walk) keep(a *journal.Act, real []ledger.Verdict) {
	s := step{act: *a, first: int32(len(w.next.verdicts)), count: int32(len(real)), key: -1, tool: -1}
	w.next.verdicts = append(w.next.verdicts, real...)
	if e := a.Event; e != nil && e.Call != nil {
		s.key, s.tool = w.numbers.of(e.Call)
	} else if a.Admit != nil {
		s.key = w.numbers.key(a.Admit)
	}
	w.next.steps = append(w.next.steps, s)
}

// other takes an event that is not a call.
func (w *Walk) other(e *journal.Event) {
	if seq, n, ok := ledger.RefundOf(e); ok && w.refunds != nil {
		w.refunds(seq, n)
	}
	switch e.Type {
	case journal.TypeMode:
		w.flush()
		w.mode(e)
	case journal.TypeGranted:
		spent, _ := w.real.Wallet(e.Subject)
		w.grants.see(e, spent)
	}
	if w.event != nil && strings.HasPrefix(e.Type, w.prefix) {
		w.flush()
		w.err = errors.Join(w.err, w.event(e))
	}
}

// hand gives what has come to the candidates and goes on.
func (w *Walk) hand() {
	w.busy.Wait()
	if len(w.next.steps) == 0 {
		return
	}
	b := w.next
	w.next, w.used = batch{w.used.steps[:0], w.used.verdicts[:0]}, b
	for _, p := range w.pairs {
		w.busy.Go(func() { p.steps(b) })
	}
}

// flush waits until every candidate has lived through what has come.
func (w *Walk) flush() {
	w.hand()
	w.busy.Wait()
	for _, p := range w.pairs {
		w.err = errors.Join(w.err, p.err)
	}
}

// mode begins or ends shadow mode's books. From its beginning the live sheet
// needs wallets of its own: reality's stand still.
func (w *Walk) mode(e *journal.Event) {
	var m struct{ Mode string }
	if err := json.Unmarshal(e.Data, &m); err != nil {
		w.err = errors.Join(w.err, fmt.Errorf("event %d: %w", e.Seq, err))
		return
	}
	if w.would = nil; m.Mode != "shadow" {
		return
	}
	w.would = ledger.NewScenario(w.real, w.then)
	w.would.Takes = observed
	for _, p := range w.pairs {
		p.own(w)
	}
}

// compare counts what the journal says otherwise.
func (w *Walk) compare(verdicts []ledger.Verdict) {
	for i := range verdicts {
		v := &verdicts[i]
		c := v.Call
		live := c.AdmitSeq != 0 && (!c.Observed || len(c.Reasons) == 0)
		same := !v.Imputed && v.Admitted == live && v.Quote == c.Quote
		if v.Ended && v.Admitted {
			same = same && v.Paid == c.Charged+c.Would && v.Short == c.Shortfall && v.Counted
		}
		if !v.Ended {
			same = same && slices.EqualFunc(v.Reasons, c.Reasons, func(r ledger.Refusal, s string) bool { return r.Reason == s })
		}
		if !same {
			w.place.Differences++
		}
	}
}

func timeOf(a *journal.Act) time.Time {
	if a.Admit != nil {
		return a.Admit.At
	}
	return a.Event.At
}
