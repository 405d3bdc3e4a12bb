package lab

import (
	"context"

	"paygate/pricing"
	"paygate/pricing/sheetfile"
	"paygate/server/api"
	"paygate/shadow"
	"paygate/shadow/report"
	"paygate/shadow/sums"
	"paygate/shadow/whatif"
)

// sheetIn is a sheet that is tried: one by its text, or by the name of an
// experiment ("" or "live": the live one), with changed prices on top.
type sheetIn struct {
	Name  string                  `json:"name"`
	Sheet string                  `json:"sheet"` // a sheet's text
	Set   map[string]pricing.Cell `json:"set"`   // by tool; "*" is the default price
}

type replayIn struct {
	sheetIn
	Sheets []sheetIn     `json:"sheets"` // several at once, instead
	ID     string        `json:"id"`     // to ask for its progress by
	From   string        `json:"from"`
	To     string        `json:"to"`
	WhatIf *whatif.Guess `json:"whatIf"`
}

type replayOut struct {
	Reports []*report.Report `json:"reports"`
}

func (l *Lab) replay(ctx context.Context, in replayIn) (replayOut, error) {
	request := shadow.ReplayRequest{ID: in.ID, WhatIf: in.WhatIf}
	list := in.Sheets
	if list == nil {
		list = []sheetIn{in.sheetIn}
	}
	for _, one := range list {
		candidate, err := l.candidate(one)
		if err != nil {
			return replayOut{}, asAPI(err)
		}
		request.Candidates = append(request.Candidates, candidate)
	}
	request.Window.From, request.Window.To = api.DateOr(in.From, request.Window.From), api.DateOr(in.To, request.Window.To)
	reports, err := l.o.Lab.Replay(ctx, request)
	return answer(replayOut{reports}, err)
}

// candidate is the sheet that a replay names or holds.
func (l *Lab) candidate(in sheetIn) (c shadow.Candidate, err error) {
	if in.Sheet == "" {
		c.Name = in.Name
		c.Sheet, err = l.o.Lab.Sheet(in.Name, in.Set)
		return c, err
	}
	f, err := sheetfile.Parse([]byte(in.Sheet))
	if err != nil {
		return c, err
	}
	c.Name = f.Name
	if c.Sheet, err = f.Sheet.With(in.Set); err != nil {
		return c, api.BadRequest("%v", err)
	}
	return c, nil
}

type replayID struct {
	ID string `json:"id" query:"id"`
}

type replayProgress struct {
	ID      string  `json:"id"`
	Running bool    `json:"running"`
	Done    float64 `json:"done"` // share
}

func (l *Lab) progress(_ context.Context, in replayID) (replayProgress, error) {
	done, running := l.o.Lab.Progress(in.ID)
	return replayProgress{in.ID, running, done}, nil
}

func (l *Lab) cancel(_ context.Context, in replayID) (replayProgress, error) {
	if !l.o.Lab.Cancel(in.ID) {
		return replayProgress{}, api.NotFound("No replay of this id is under way")
	}
	return replayProgress{ID: in.ID}, nil
}

type sumsIn struct {
	Sheets []sheetIn `json:"sheets"`
	From   string    `json:"from"`
	To     string    `json:"to"`
}

func (l *Lab) sums(ctx context.Context, in sumsIn) (*sums.Sums, error) {
	var list []*pricing.Sheet
	var window shadow.Window
	for _, one := range in.Sheets {
		c, err := l.candidate(one)
		if err != nil {
			return nil, asAPI(err)
		}
		list = append(list, c.Sheet)
	}
	window.From, window.To = api.DateOr(in.From, window.From), api.DateOr(in.To, window.To)
	return answer(l.o.Lab.Sums(ctx, list, window))
}
