package walk

import (
	"errors"
	"fmt"

	"paygate/pricing"
	"paygate/store/journal"
)

// SheetOf finds a price sheet by its hash.
type SheetOf func(hash string) (*pricing.Sheet, error)

// past are the sheets that calls were judged by.
type past struct {
	sheetOf SheetOf
	kept    map[string]*pricing.Sheet
	hash    string // of the newest
	sheet   *pricing.Sheet
}

func newPast(sheetOf SheetOf) past {
	return past{sheetOf: sheetOf, kept: map[string]*pricing.Sheet{}}
}

func (p *past) of(c *journal.Call, failed *error) *pricing.Sheet {
	if c.Sheet == p.hash && p.sheet != nil {
		return p.sheet
	}
	s := p.kept[c.Sheet]
	if s == nil {
		var err error
		if s, err = p.sheetOf(c.Sheet); err != nil {
			*failed = errors.Join(*failed, fmt.Errorf("call %s: %w", c.ID, err))
			s = pricing.FromTools(pricing.ToolPrice{}, nil, false) // the error ends the walk
		}
		p.kept[c.Sheet] = s
	}
	p.hash, p.sheet = c.Sheet, s
	return s
}
