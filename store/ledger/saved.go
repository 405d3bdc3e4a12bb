package ledger

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"time"

	"paygate/pricing"
	"paygate/store/journal"
)

// savedScenario is a scenario between two acts, as Save writes it.
type savedScenario struct {
	Would   bool
	Clipped pricing.Credits
	Cells   [][]byte
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

// Save is the scenario as it is now, so that LoadScenario goes on from here. at
// is the time of the newest act: what no decision from then on can see is left
// out.
func (s *Scenario) Save(at time.Time) ([]byte, error) {
	out := savedScenario{Would: s.books.would, Clipped: s.Clipped}
	for n := 0; n*perCell < len(s.books.list); n++ {
		out.Cells = append(out.Cells, s.books.cell(n, 0, at))
	}
	for _, h := range s.books.holds {
		out.Holds = append(out.Holds, savedHold{h.Hold, h.seq})
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
		out.Open = append(out.Open, n)
	}
	for _, c := range s.batch {
		call, err := json.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("scenario: %w", err)
		}
		out.Batch = append(out.Batch, call)
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(out); err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	return b.Bytes(), nil
}

// LoadScenario goes on where Save was called. sheetOf finds the sheets of calls
// that were under way when the scenario began.
func LoadScenario(raw []byte, sheet func(*journal.Call) *pricing.Sheet, sheetOf func(hash string) (*pricing.Sheet, error)) (*Scenario, error) {
	var in savedScenario
	if err := gob.NewDecoder(bytes.NewReader(raw)).Decode(&in); err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	s := &Scenario{Sheet: sheet, Clipped: in.Clipped, books: NewState(in.Would), open: newUnderWay()}
	for n, cell := range in.Cells {
		if err := s.books.load(n, cell); err != nil {
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
