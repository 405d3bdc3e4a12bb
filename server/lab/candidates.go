package lab

import (
	"context"
	"errors"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/shadow"
	"paygate/store"
)

// liveName is what the live sheet is called among candidates.
const liveName = "live"

// sheets are the live sheet and every candidate that may still go live,
// as prices by tool.
func (l *Lab) sheets(ctx context.Context, _ api.None) (api.LabSheets, error) {
	list, err := l.o.Lab.Experiments()
	if err != nil {
		return api.LabSheets{}, err
	}
	tools := map[string]bool{}
	for _, name := range l.o.Tools(ctx) {
		tools[name] = true
	}
	live := l.o.Live()
	sheets := []*pricing.Sheet{live}
	out := api.LabSheets{Sheets: []api.LabSheet{{Name: liveName, State: shadow.IsLive}}}
	for _, e := range list {
		switch e.State {
		case shadow.Stopped, shadow.Superseded, shadow.RolledBack:
			continue
		}
		row := api.LabSheet{Name: e.Name, State: e.State}
		sheet, err := l.o.Lab.Sheet(e.Name, nil)
		switch {
		case errors.Is(err, shadow.ErrState): // a draft with mistakes has no prices
			row.Faults = mistakes(e)
		case errors.Is(err, store.ErrNotFound): // dropped meanwhile
			continue
		case err != nil:
			return api.LabSheets{}, err
		}
		sheets = append(sheets, sheet)
		out.Sheets = append(out.Sheets, row)
	}
	for _, sheet := range sheets {
		if sheet == nil {
			continue
		}
		for _, name := range sheet.Tools() {
			tools[name] = true
		}
	}
	for i, sheet := range sheets {
		if sheet == nil {
			continue
		}
		spec, row := sheet.Spec(), &out.Sheets[i]
		row.Hash, row.Plans, row.Default, row.Tools = sheet.Hash(), len(spec.Plans), priceOf(spec.Defaults), map[string]api.LabPrice{}
		if !sheet.Flat() {
			row.Rules = len(spec.Rules)
		}
		for name := range tools {
			row.Tools[name] = priceOf(sheet.Posted(name))
		}
	}
	return out, nil
}

// mistakes are a draft's, with their places.
func mistakes(e *shadow.Experiment) (out []string) {
	if e.Draft == nil {
		return nil
	}
	for _, d := range e.Draft.Found {
		if !d.Warning {
			out = append(out, d.String())
		}
	}
	return out
}

func priceOf(p pricing.Price) api.LabPrice {
	return api.LabPrice{PerCall: p.PerCall.String(), PerKBIn: p.PerKBIn.String(), PerKBOut: p.PerKBOut.String()}
}
