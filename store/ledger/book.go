package ledger

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"time"

	"paygate/pricing"
	"paygate/store"
	"paygate/store/journal"
)

// What callers decide on.
var (
	// ErrUnavailable means that the disk takes no commits: nothing new is
	// admitted, and what was under way is uncharged and must not be answered.
	ErrUnavailable = errors.New("the books cannot be written")
	// ErrBusy means that more waits for the disk than the queue holds.
	ErrBusy = errors.New("too much waits for the disk")
)

// Call is one call as the book sees it: what will be recorded, and the sheet
// that it is judged by.
type Call struct {
	journal.Call
	Price *pricing.Sheet
	// Beside writes what must be on disk with the settlement, or the parking, of
	// the call as it is recorded, or not at all. Nil: nothing.
	Beside func(*store.Tx, *journal.Call) error
	// Here says that the call, once parked, waits in this process: it cannot
	// outlive it.
	Here bool

	books   *State // where it was admitted; nil: nowhere
	epoch   int    // life of the book in which it was admitted
	counted bool   // refused, and not recorded one by one
}

// Settlement is how a call ended.
type Settlement struct {
	Charged, Surcharge, Shortfall pricing.Credits
	Left                          pricing.Credits // what the payer can still spend
	Seq                           uint64          // to Wait for
}

// Options are what a Book needs from outside.
type Options struct {
	Now   func() time.Time
	Log   *slog.Logger
	Sheet func(hash string) (*pricing.Sheet, error) // for parked calls of an earlier process
	// RetryDisk is how long to wait after a failed commit before the file is
	// opened again; 0 means 250 ms. It doubles up to 20 times that.
	RetryDisk time.Duration
	// SweepEvery is how often holds are looked at whose time may be over; 0
	// means every second.
	SweepEvery time.Duration
	// Tables are those that the journal vouches for.
	Tables []store.Proved
}

// Book is the live books. It is safe for concurrent use. Close it.
type Book struct {
	db   *store.DB
	opts Options

	mu      sync.Mutex
	real    *State
	would   *State    // of shadow mode; nil when calls are charged
	seq     uint64    // the last number given
	clock   int64     // the last time given, Unix ms: the books' time never goes back
	read    time.Time // when it was
	epoch   int       // counts how often the books were read from disk
	ends    []uint64  // by epoch: what was known to be on disk when the next began
	down    error     // why the disk takes no commits; nil when it does
	queue   []*journal.Event
	wanted  int                      // so many in the queue are worth a commit
	opens   map[uint64]*journal.Call // admitted since the last block and not ended, by AdmitSeq
	holding map[uint64]*Call         // admitted and not ended, by AdmitSeq
	applies []*apply
	writes  []func(*store.Tx) error // records that go with the next commit
	next    *batch                  // what is queued will be on disk when this is
	flight  *batch                  // being written
	disk    uint64                  // on disk up to here
	prev    journal.Hash
	last    uint64 // first number of the newest block
	cells   round
	encoder journal.Encoder // the writer's
	unused  []*journal.Call // for opens
	keyless keyless
	flood   map[string]int64 // refusals that were only counted and not said yet, by reason
	dropped int64            // all of them

	journal  *journal.Journal
	trimming sync.Mutex // held by the one Trim that runs

	wake    chan struct{} // somebody waits for what is queued
	enough  chan struct{} // as much is queued as the writer wanted
	soon    chan struct{} // something is queued that nobody waits for
	closing chan struct{}
	stopped chan struct{}
	once    sync.Once // guards closed
	closed  error
}

// batch is one commit; done is closed when it has ended, well or not.
type batch struct {
	last uint64
	done chan struct{}
	err  error
}

// queueLimit is how many acts may wait for the disk.
const queueLimit = 1 << 16

// never is the number of a settlement that will not be on disk.
const never = math.MaxUint64

// Open reads the books from a database: cells, then the journal's tail. Calls
// that an earlier process had open end here, uncharged. The Book owns the
// database from now on: Close closes it.
func Open(db *store.DB, o Options) (*Book, error) {
	if o.RetryDisk == 0 {
		o.RetryDisk = 250 * time.Millisecond
	}
	if o.SweepEvery == 0 {
		o.SweepEvery = time.Second
	}
	b := &Book{db: db, opts: o, wake: make(chan struct{}, 1), enough: make(chan struct{}, 1), soon: make(chan struct{}, 1), closing: make(chan struct{}), stopped: make(chan struct{})}
	if err := b.boot(); err != nil {
		return nil, err
	}
	go b.write()
	if err := b.vouchForAll(context.Background()); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// Close writes what is queued and every changed cell, and closes the file. The
// calls under way end unrecorded, so stop them first. A second Close says what
// the first one said.
func (b *Book) Close() error {
	b.once.Do(func() {
		close(b.closing)
		<-b.stopped
		b.closed = b.db.Close()
	})
	return b.closed
}

// Journal reads what happened. It is the same for the life of the Book.
func (b *Book) Journal() *journal.Journal { return b.journal }

// DB gives readers of tables the database. Writing goes through Apply.
func (b *Book) DB() *store.DB { return b.db }

// now is the books' clock: milliseconds, never going back. While the clock of
// the machine is behind it, because somebody has set it back, the books' time
// goes on at the same pace: a limit that waits for time to pass must not wait
// until the machine has caught up. Behind mu.
func (b *Book) now() time.Time {
	now := b.opts.Now()
	if ms := now.UnixMilli(); ms >= b.clock {
		b.clock, b.read = ms, now
	} else if passed := now.Sub(b.read).Milliseconds(); passed > 0 && !b.read.IsZero() {
		b.clock, b.read = b.clock+passed, b.read.Add(time.Duration(passed)*time.Millisecond)
	} else if passed < 0 || b.read.IsZero() {
		b.read = now
	}
	return time.UnixMilli(b.clock).UTC()
}

// Settle ends a call: it rates it under the lock by its own sheet, frees its
// hold, books the charge (at most what the payer has beside others' holds) and
// queues the event. Outcome, Class, Out, Took and what else is known are set
// by the caller. Wait for the Seq before the answer leaves.
func (b *Book) Settle(c *Call) Settlement {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.epoch != b.epoch || b.holding[c.AdmitSeq] == nil {
		return Settlement{Seq: never} // the books were read anew since: it has ended there
	}
	delete(b.holding, c.AdmitSeq)
	if open := b.opens[c.AdmitSeq]; open != nil { // ended in the block in which it began
		delete(b.opens, c.AdmitSeq)
		b.unused = append(b.unused, open)
	}
	s := c.books
	if s != nil {
		s.free(&c.Call, c.Quote)
	}
	if s != nil && s != b.real && s != b.would { // shadow mode ended or began anew meanwhile
		s, c.Reasons = nil, append(c.Reasons, modeChanged)
	}
	c.Took = max(0, c.Took.Truncate(time.Microsecond)) // as it is recorded, so that a replay rates the same
	set := b.charge(s, c)
	b.seq++
	c.SettleSeq, set.Seq = b.seq, b.ticket(b.seq)
	if !c.Observed {
		b.real.book(&c.Call, c.Charged)
	} else {
		if s != nil {
			s.book(&c.Call, c.Would)
		}
		b.real.notice(&c.Call)
	}
	set.Left = max(0, b.real.of(journal.Account(c.Payer)).available())
	ended := record(c, b.seq, b.now())
	b.append(ended)
	if beside := c.Beside; beside != nil {
		b.writes = append(b.writes, func(tx *store.Tx) error { return beside(tx, ended.Call) })
	}
	b.unpark(c)
	return set
}

// charge rates a call that has ended. Behind mu.
func (b *Book) charge(s *State, c *Call) Settlement {
	c.Charged, c.Shortfall, c.Surcharge, c.Would, c.Deltas = 0, 0, 0, 0, pricing.Deltas{}
	if s == nil {
		return Settlement{}
	}
	charge, deltas := s.rate(&c.Call, c.Price)
	paid := s.affordable(&c.Call, charge.Due)
	c.Deltas, c.Shortfall = deltas, charge.Due-paid
	if c.Observed {
		c.Would = paid
		return Settlement{}
	}
	c.Charged = paid
	c.Surcharge = max(0, min(charge.Output, paid, paid-(charge.Due-charge.Output)))
	return Settlement{Charged: paid, Surcharge: c.Surcharge, Shortfall: c.Shortfall}
}

// record is the event of a call that has ended: a copy, since the call remains
// its owner's.
func record(c *Call, seq uint64, at time.Time) *journal.Event {
	kept := &struct {
		event journal.Event
		call  journal.Call
	}{journal.Event{Seq: seq, At: at, Type: journal.TypeCall, Subject: c.Key}, c.Call}
	kept.event.Call = &kept.call
	return &kept.event
}

// append queues an event. Behind mu.
func (b *Book) append(e *journal.Event) {
	b.queue = append(b.queue, e)
	b.next.last = e.Seq
	if len(b.queue) == b.wanted {
		b.signal(b.enough)
	}
	b.kick()
}

// add numbers, queues and counts in an event of the book's own. Behind mu.
func (b *Book) add(e *journal.Event) {
	b.seq++
	e.Seq, e.At = b.seq, b.now()
	b.append(e)
	for _, s := range []*State{b.real, b.would} {
		if s != nil {
			s.Fold(journal.Act{Event: e})
		}
	}
}

func (b *Book) kick() { b.signal(b.wake) }

func (b *Book) signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
