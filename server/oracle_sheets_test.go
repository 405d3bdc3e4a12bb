package server_test

import (
	"fmt"
	"math/rand/v2"

	"paygate/testdata/oracle"
)

// sheetMaker makes price sheets of all that a sheet can say.
type sheetMaker struct{ *rand.Rand }

func (r sheetMaker) pick(list ...string) string { return list[r.IntN(len(list))] }

func (r sheetMaker) some(of int) bool { return r.IntN(of) == 0 }

// dec is a small number with few places.
func (r sheetMaker) dec(most int) oracle.Dec {
	if r.some(3) {
		return oracle.Dec(fmt.Sprintf("%d.%d", r.IntN(most), 1+r.IntN(9)))
	}
	return oracle.Dec(fmt.Sprint(1 + r.IntN(most)))
}

func (r sheetMaker) price(defaults bool) oracle.Price {
	p := oracle.Price{PerCall: r.dec(8)}
	if r.some(3) {
		p.PerKBIn = r.dec(2)
	}
	if r.some(3) {
		p.PerKBOut = r.dec(2)
	}
	if r.some(4) {
		p.PerSecond = r.dec(2)
	}
	if r.some(4) {
		p.Min = int64(r.IntN(5))
	}
	if r.some(3) {
		p.Max = p.Min + 1 + int64(r.IntN(12))
	}
	if r.some(5) {
		p.Hold = 1 + int64(r.IntN(10))
	}
	if r.some(2) || defaults {
		p.BillOn = r.pick("accepted", "success", "result_bytes", "upstream_units")
	}
	switch r.IntN(6) {
	case 0:
		p.Retry = "charge"
	case 1:
		p.Retry, p.RetryWithin = "free", int64(1+r.IntN(600))*1e9
	}
	return p
}

func (r sheetMaker) counted(p *oracle.Price) {
	per := r.pick("day", "month", "ever")
	if r.some(2) {
		p.Free = &oracle.Free{Calls: int64(1 + r.IntN(4)), Per: per}
		if r.some(2) {
			return
		}
	}
	p.Tiers = &oracle.Tiers{Mode: r.pick("graduated", "volume"), Per: r.pick("day", "month"), Steps: []oracle.Step{{To: int64(1 + r.IntN(4)), X: "1"}, {To: int64(6 + r.IntN(6)), X: "0.75"}, {X: oracle.Dec(r.pick("0.5", "0.125", "1.25"))}}}
}

func (r sheetMaker) match() oracle.Match {
	m := oracle.Match{}
	if !r.some(4) {
		m.Tool = r.pick("search*", "search", "fetch", "p?ain", "*deep")
	}
	switch r.IntN(9) {
	case 0:
		m.Plan = r.pick("pro", "fr*")
	case 1:
		m.Tags = map[string]string{"team": r.pick("red", "blue*")}
	case 2:
		m.Dims = map[string]string{"depth": r.pick("deep", "fl*")}
	case 3:
		m.Result = r.pick("tool_error", "*_error", "ok")
	case 4:
		m.In = oracle.Range{From: int64(r.IntN(1500)), To: 2000}
	case 5:
		m.Out = oracle.Range{From: int64(1 + r.IntN(3000))}
	case 6:
		m.Hours = oracle.Span{From: 60 * r.IntN(24), To: 60*r.IntN(24) + 30}
	case 7:
		m.Days = []int{1, 3, 4}
	case 8:
		m.Group = r.pick("vip", "v?p")
	}
	return m
}

func (r sheetMaker) plan(name string) oracle.Plan {
	p := oracle.Plan{Name: name}
	if r.some(2) {
		p.Grant, p.GrantPer = int64(5+r.IntN(60)), r.pick("day", "month")
		if r.some(2) {
			p.Expires = true
			p.Rollover = int64(r.IntN(2) * r.IntN(9))
		}
	}
	if r.some(3) {
		p.Rate = int64(1 + r.IntN(4))
	}
	if r.some(2) {
		p.SpendCap, p.CapPer = int64(5+r.IntN(40)), r.pick("day", "month")
	}
	if r.some(2) {
		p.TopUp = oracle.TopUp{Below: int64(1 + r.IntN(12)), Add: int64(1 + r.IntN(25)), PerDay: int64(r.IntN(3))}
	}
	return p
}

// sheet is a random one.
func (r sheetMaker) sheet() *oracle.Sheet {
	s := &oracle.Sheet{Defaults: r.price(true)}
	if r.some(2) {
		s.CreditUSD = oracle.Dec(r.pick("0.1", "0.3", "1"))
	}
	for range r.IntN(5) {
		s.Rules = append(s.Rules, oracle.Rule{Match: r.match(), Price: r.price(false)})
	}
	for n := range r.IntN(3) { // a payer has counters for seven
		if n < len(s.Rules) {
			r.counted(&s.Rules[n].Price)
		} else {
			r.counted(&s.Defaults)
		}
	}
	for _, name := range []string{"free", "pro"} {
		if r.some(2) {
			s.Plans = append(s.Plans, r.plan(name))
		}
	}
	return s
}
