package lab

import (
	"context"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/shadow"
	"paygate/store/sheets"
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
	find, sheets := sheets.Of(l.o.DB), []*pricing.Sheet{live}
	out := api.LabSheets{Sheets: []api.LabSheet{{Name: liveName, State: shadow.IsLive}}}
	for _, e := range list {
		switch e.State {
		case shadow.Stopped, shadow.Superseded, shadow.RolledBack:
			continue
		}
		sheet, err := find(e.Candidate)
		if err != nil {
			return api.LabSheets{}, err
		}
		sheets = append(sheets, sheet)
		out.Sheets = append(out.Sheets, api.LabSheet{Name: e.Name, State: e.State})
	}
	for _, sheet := range sheets {
		for _, name := range sheet.Tools() {
			tools[name] = true
		}
	}
	for i, sheet := range sheets {
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

func priceOf(p pricing.Price) api.LabPrice {
	return api.LabPrice{PerCall: p.PerCall.String(), PerKBIn: p.PerKBIn.String(), PerKBOut: p.PerKBOut.String()}
}
