package ledger

import (
	"encoding/gob"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/store/journal"
)

// savedScenario is a scenario between two acts, but for its cells, which follow.
type savedScenario struct {
	Would   bool
	Clipped pricing.Credits
	Cells   int
	Holds   []savedHold
	Open    []savedPromise
	Batch   [][]byte // calls as JSON, which leaves out what admissions do not have
}

type savedHold struct {
	Hold journal.Hold
	Seq  uint64
}

type savedPromise struct {
	Call             []byte // as JSON
	Quote            pricing.Credits
	Admitted, Parked bool
	Reasons          []Refusal
	Instead          string
	Sheet            string // hash; empty: the scenario's own
}

// Image is a scenario as it was at one moment.
type Image struct {
	head savedScenario
	list []*owner
	at   time.Time
}

// Image is the scenario as it is now, so that DecodeScenario goes on from here.
// It stays so from Freeze to Thaw, or else until the next act. at is the time of
// the newest act: what no decision from then on can see is left out.
func (s *Scenario) Image(at time.Time) (*Image, error) {
	out := &Image{head: savedScenario{Would: s.books.would, Clipped: s.Clipped}, list: slices.Clone(s.books.list), at: at}
	out.head.Cells = (len(out.list) + perCell - 1) / perCell
	for _, h := range s.books.holds {
		out.head.Holds = append(out.head.Holds, savedHold{h.Hold, h.seq})
	}
	for _, p := range s.open.inOrder() {
		call, err := json.Marshal(p.call)
		if err != nil {
			return nil, fmt.Errorf("scenario: %w", err)
		}
		n := savedPromise{Call: call, Quote: p.quote, Admitted: p.admitted, Parked: p.parked, Reasons: p.reasons, Instead: p.instead}
		if p.sheet != nil {
			n.Sheet = p.sheet.Hash()
		}
		out.head.Open = append(out.head.Open, n)
	}
	for _, c := range s.batch {
		call, err := json.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("scenario: %w", err)
		}
		out.head.Batch = append(out.head.Batch, call)
	}
	return out, nil
}

// Freeze keeps an image that was taken now as it is: from now on an owner is
// copied before anything of it changes.
func (s *Scenario) Freeze() {
	s.books.times++
	s.books.frozen = s.books.times
}

// Thaw ends Freeze.
func (s *Scenario) Thaw() { s.books.frozen = 0 }

// copied puts a copy of an owner in its place.
func (s *State) copied(o *owner) *owner {
	n := *o
	n.rates, n.frozen = copyWindows(o.rates), s.frozen
	s.list[n.number], s.owners[n.account] = &n, &n
	for i := range s.recent {
		if s.recent[i] == o {
			s.recent[i] = &n
		}
	}
	if s.revenue == o {
		s.revenue = &n
	}
	return &n
}

// Encode writes the image.
func (i *Image) Encode(to *gob.Encoder) error {
	err := to.Encode(&i.head)
	books := State{list: i.list}
	for n := range i.head.Cells {
		if err == nil {
			err = to.Encode(books.encode(n, 0, i.at))
		}
	}
	if err != nil {
		return fmt.Errorf("scenario: %w", err)
	}
	return nil
}

// DecodeScenario goes on where Image was called. sheetOf finds the sheets of
// calls that were under way when the scenario began.
func DecodeScenario(from *gob.Decoder, sheet func(*journal.Call) *pricing.Sheet, sheetOf func(hash string) (*pricing.Sheet, error)) (*Scenario, error) {
	var in savedScenario
	if err := from.Decode(&in); err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	s := &Scenario{Sheet: sheet, Clipped: in.Clipped, books: NewState(in.Would), open: newUnderWay()}
	for n := range in.Cells {
		var cell []byte
		err := from.Decode(&cell)
		if err == nil {
			err = s.books.load(n, cell)
		}
		if err != nil {
			return nil, fmt.Errorf("scenario: %w", err)
		}
	}
	s.books.findGaps()
	for _, h := range in.Holds {
		s.books.put(&hold{Hold: h.Hold, seq: h.Seq})
	}
	for _, o := range in.Open {
		if err := s.reopen(o, sheetOf); err != nil {
			return nil, fmt.Errorf("scenario: %w", err)
		}
	}
	for _, raw := range in.Batch {
		c := new(journal.Call)
		if err := json.Unmarshal(raw, c); err != nil {
			return nil, fmt.Errorf("scenario: %w", err)
		}
		s.batch = append(s.batch, c)
	}
	return s, nil
}

// reopen goes on with a call that was under way.
func (s *Scenario) reopen(o savedPromise, sheetOf func(hash string) (*pricing.Sheet, error)) error {
	p := promise{call: new(journal.Call), quote: o.Quote, admitted: o.Admitted, parked: o.Parked, reasons: o.Reasons, instead: o.Instead}
	if err := json.Unmarshal(o.Call, p.call); err != nil {
		return err
	}
	if o.Sheet != "" {
		var err error
		if p.sheet, err = sheetOf(o.Sheet); err != nil {
			return fmt.Errorf("call %s: %w", p.call.ID, err)
		}
	}
	if s.open.put(p); p.admitted {
		s.books.promise(p.call, p.quote)
	}
	return nil
}
