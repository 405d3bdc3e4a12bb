package shadow

import (
	"context"
	"encoding/json"
	"log/slog"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"paygate/pricing"
	"paygate/pricing/sheetfile"
	"paygate/shadow/sums"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
	"paygate/store/sheets"
)

// Experiment is a candidate and what has become of it.
type Experiment struct {
	Name      string          `json:"name"`
	Candidate string          `json:"candidate"` // hash; empty: it is a draft
	Live      string          `json:"live"`      // hash of the sheet it is measured against; empty before the start
	Title     string          `json:"title,omitempty"`
	Draft     *Draft          `json:"draft,omitempty"` // of one whose sheet is not validated
	State     string          `json:"state"`
	Created   time.Time       `json:"created"`
	Started   *time.Time      `json:"started,omitempty"`
	Reviewed  *Review         `json:"reviewed,omitempty"`
	Going     *Going          `json:"going,omitempty"`   // how it goes, or went, live
	Refused   *Refused        `json:"refused,omitempty"` // it did not go live at its time
	Promoted  *time.Time      `json:"promoted,omitempty"`
	Ended     *time.Time      `json:"ended,omitempty"`
	MadeTo    uint64          `json:"madeTo,omitempty"`    // make-good has gone so far
	MadeGood  pricing.Credits `json:"madeGood,omitempty"`  // what it gave back
	MadeWhole bool            `json:"madeWhole,omitempty"` // nothing is left to give back
	Owes      string          `json:"owes,omitempty"`      // who asked for the make-good
	Settled   bool            `json:"settled,omitempty"`   // calls that ended after it are made good, too
}

// The lab's events. Their Data is a mark.
const (
	eventPrefix   = "shadow."
	eventDiffers  = "shadow.self_difference" // an alarm
	eventDrafted  = "shadow.drafted"
	eventCreated  = "shadow.created"
	eventReplaced = "shadow.replaced" // by another sheet, before its start
	eventValid    = "shadow.validated"
	eventDropped  = "shadow.dropped"
	eventStarted  = "shadow.started"
	eventStopped  = "shadow.stopped"
	eventReviewed = "shadow.reviewed"
	eventSchedule = "shadow.scheduled"
	eventCancel   = "shadow.unscheduled"
	eventRefused  = "shadow.refused"
	eventCanary   = "shadow.canary"
	eventPromoted = "shadow.promoted"
	eventSuperse  = "shadow.superseded"
	eventRestored = "shadow.restored" // what superseded it was rolled back
	eventRolled   = "shadow.rolled_back"
	eventMadeGood = "shadow.made_good"
)

// mark is what an event of the lab says.
type mark struct {
	Name      string          `json:"name"`
	Candidate string          `json:"candidate"`
	Live      string          `json:"live,omitempty"`
	Text      string          `json:"text,omitempty"`     // hash of a draft's
	Mistakes  int             `json:"mistakes,omitempty"` // of a draft
	Report    string          `json:"report,omitempty"`   // log digest that a promotion was decided by
	Override  []string        `json:"override,omitempty"` // guardrails that were waived
	Credits   pricing.Credits `json:"credits,omitempty"`  // given back so far
	Open      int             `json:"open,omitempty"`     // calls that have not ended, of a make-good
	At        *time.Time      `json:"at,omitempty"`       // when it is to go live
	Percent   float64         `json:"percent,omitempty"`  // of the keys, of a canary
	Charged   string          `json:"charged,omitempty"`  // the sheet that a canary's keys pay by
	Salt      string          `json:"salt,omitempty"`     // that tells a canary's keys from the others
	Keep      string          `json:"keep,omitempty"`     // who goes on paying by the old sheet
	By        string          `json:"by,omitempty"`       // who decided what happens without anybody
	Why       string          `json:"why,omitempty"`      // of what happens without anybody

	Differences int `json:"differences,omitempty"` // of the live prices' shadow from what was charged
}

// MostRunning is how many candidates may run at a time.
const MostRunning = 8

func table() store.Table[Experiment] {
	return store.Table[Experiment]{Name: "experiments", Proved: true, ID: func(e *Experiment) string { return e.Name }}
}

// Tables are those that the journal vouches for.
func Tables() []store.Proved { return []store.Proved{table()} }

// Options are what a Lab needs.
type Options struct {
	Book *ledger.Book
	Now  func() time.Time
	Name func(key string) string // of a key, for reports; may be nil
	// Changed makes the sheet that is live now the one that calls are judged
	// by; may be nil.
	Changed func(context.Context) error
	Version string       // of this program, for reports
	Dir     string       // for the checkpoint file; empty: there is none
	Log     *slog.Logger // nil: says nothing
	Demo    bool         // what happened is made up; reports say so
}

// Lab runs experiments. It keeps what it has lived through in memory and in a
// checkpoint that it goes on from after a start; the journal has all it needs.
type Lab struct {
	o Options

	mu sync.Mutex // guards what follows
	j  *journey   // nil until something is asked

	saved  uint64    // the last act in the newest checkpoint
	saveAt time.Time // not before
	alarm  int       // self-differences that were told

	stateAt, stateEvery uint64 // the last act in the newest kept state, and how far apart they are

	saving sync.Mutex // one checkpoint at a time; taken before mu
	during func()     // is called while a checkpoint is written; may be nil

	files sync.Mutex // guards db
	db    *store.DB  // the checkpoint's; nil until it is needed

	sums *sums.Calls // these have mutexes of their own
	runs running

	latest  atomic.Pointer[[]Status]
	differs atomic.Int64

	making   sync.Mutex  // held by who makes good
	settled  atomic.Bool // no make-good is left to go on with
	watching sync.Mutex  // guards arms
	arms     *arms       // of the canary that was looked at last
}

// New is a lab over the books.
func New(o Options) *Lab {
	if o.Name == nil {
		o.Name = func(string) string { return "" }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Lab{o: o, stateEvery: stateEvery, sums: sums.New(o.Book.DB(), o.Book.Journal(), o.Now)}
}

var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func checkName(name string) error {
	switch {
	case !names.MatchString(name):
		return badInput("name %q: 1 to 64 letters, digits, dots, dashes and underscores, beginning with a letter or digit", name)
	case name == "live":
		return badInput(`name "live": so the prices are called that are charged; take another name`)
	}
	return nil
}

// New keeps a candidate's sheet under a name, in the place of one that has not
// started. The error is a *sheetfile.Invalid, a *BadInput, or wraps ErrTaken. The
// same file under the same name again is no error.
func (l *Lab) New(ctx context.Context, name string, file []byte, actor string) (*Experiment, []sheetfile.Diagnostic, error) {
	if err := checkName(name); err != nil {
		return nil, nil, err
	}
	f, err := sheetfile.Parse(file)
	if err != nil {
		return nil, nil, err
	}
	e, err := l.keep(ctx, &Experiment{Name: name, Title: f.Name}, f.Sheet, actor)
	if err != nil {
		return nil, nil, err
	}
	return e, f.Warnings, nil
}

// Copy keeps a candidate that is another one, or the live sheet (from is empty
// or "live"), with other prices for some tools. Its errors are those of New.
func (l *Lab) Copy(ctx context.Context, name, from string, set map[string]pricing.Cell, actor string) (*Experiment, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	sheet, err := l.Sheet(from, set)
	if err != nil {
		return nil, err
	}
	return l.keep(ctx, &Experiment{Name: name}, sheet, actor)
}

func event(kind, actor string, m mark) journal.Event {
	data, err := json.Marshal(m)
	if err != nil {
		data = nil // of texts and numbers: it cannot fail
	}
	return journal.Event{Type: kind, Actor: actor, Data: data}
}

// Start shadows from this moment; wallets begin at the balances of now.
func (l *Lab) Start(ctx context.Context, name, actor string) (*Experiment, error) {
	return l.changing(ctx, name, func(tx *ledger.Tx, e *Experiment) error {
		if e.State != Validated {
			return e.no("started")
		}
		running := 0
		for other, err := range table().All(tx, "") {
			if err != nil {
				return err
			}
			if other.running() {
				running++
			}
		}
		if running >= MostRunning {
			return wrongState("%d candidates are running already; \"paygate shadow stop NAME\" ends one of them", running)
		}
		live, _, err := sheets.Live(tx)
		if err != nil {
			return err
		}
		if err := dimsFit(tx, e, live); err != nil {
			return err
		}
		now := tx.Now()
		e.State, e.Started, e.Live = Shadowing, &now, live.Hash()
		return tx.Append(event(eventStarted, actor, e.mark()))
	})
}

// Stop ends an experiment; its report stays. One that was to go live at a time
// does not any more.
func (l *Lab) Stop(ctx context.Context, name, actor string) (*Experiment, error) {
	return l.changing(ctx, name, func(tx *ledger.Tx, e *Experiment) error {
		if !e.running() {
			return e.no("stopped")
		}
		if e.State == Scheduled {
			if err := clearNext(tx, e); err != nil {
				return err
			}
		}
		now := tx.Now()
		e.State, e.Ended = Stopped, &now
		return tx.Append(event(eventStopped, actor, e.mark()))
	})
}

func (l *Lab) change(ctx context.Context, name string, fn func(*ledger.Tx, *Experiment) error) (*Experiment, error) {
	var e *Experiment
	err := l.o.Book.Apply(ctx, func(tx *ledger.Tx) error {
		var err error
		if e, err = table().Get(tx, name); err != nil {
			return err
		}
		if err := fn(tx, e); err != nil {
			return err
		}
		return table().Put(tx, e)
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Experiment is one by its name; the error wraps store.ErrNotFound.
func (l *Lab) Experiment(name string) (e *Experiment, err error) {
	err = l.o.Book.DB().View(func(s *store.Snapshot) error {
		e, err = table().Get(s, name)
		return err
	})
	return e, err
}

// Experiments are all of them, by name.
func (l *Lab) Experiments() (out []*Experiment, err error) {
	err = l.o.Book.DB().View(func(s *store.Snapshot) error {
		for e, err := range table().All(s, "") {
			if err != nil {
				return err
			}
			out = append(out, e)
		}
		return nil
	})
	return out, err
}

// sheet is a kept sheet.
func (l *Lab) sheet(hash string) (s *pricing.Sheet, err error) {
	err = l.o.Book.DB().View(func(snap *store.Snapshot) error {
		s, err = sheets.Get(snap, hash)
		return err
	})
	return s, err
}

// Diff is what an experiment's sheet changes of the live one, line by line.
func (l *Lab) Diff(name string) ([]pricing.Difference, error) {
	e, err := l.Experiment(name)
	if err != nil {
		return nil, err
	}
	to, err := l.sheetOf(e)
	if err != nil {
		return nil, err
	}
	var from *pricing.Sheet
	if e.Live != "" {
		from, err = l.sheet(e.Live)
	} else {
		err = l.o.Book.DB().View(func(s *store.Snapshot) error {
			from, _, err = sheets.Live(s)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	return pricing.Diff(from, to), nil
}
