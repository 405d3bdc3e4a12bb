package fake

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/shadow"
	"paygate/shadow/report"
	"paygate/shadow/sums"
)

// sheet is a column of the made-up lab: prices per call by tool.
type sheet struct {
	name, state string
	prices      map[string]pricing.Decimal
	kb          map[string]pricing.Decimal // per KB of the answer
	started     time.Time
	faults      []string // of a draft
}

func liveSheet() *sheet {
	s := &sheet{name: "live", state: "live", prices: map[string]pricing.Decimal{"*": pricing.One}, kb: map[string]pricing.Decimal{}}
	for _, t := range tools() {
		s.prices[t.name] = pricing.Decimal(t.price) * pricing.One
	}
	return s
}

// candidates are three sheets that are tried: dearer, by size, flat.
func candidates(now time.Time) []*sheet {
	pro, kb, flat := liveSheet(), liveSheet(), liveSheet()
	pro.name, pro.state, pro.started = "pro-tier", shadow.Shadowing, now.Add(-15*24*time.Hour)
	pro.prices["search:web_search"], pro.prices["browser:screenshot"] = 8*pricing.One, 15*pricing.One
	kb.name, kb.state, kb.started = "per-kb", shadow.Shadowing, now.Add(-26*time.Hour)
	kb.prices["search:web_search"], kb.kb["search:web_search"] = 4*pricing.One, pricing.One
	kb.prices["browser:screenshot"], kb.kb["browser:screenshot"] = 4*pricing.One, 2*pricing.One
	flat.name, flat.state = "flat-3", shadow.Validated
	for tool := range flat.prices {
		flat.prices[tool] = 3 * pricing.One
	}
	return []*sheet{pro, kb, flat}
}

type tried struct {
	Name string
	Set  map[string]pricing.Cell
}

func (g *Gateway) sheet(in tried) (*sheet, error) {
	for _, s := range append([]*sheet{liveSheet()}, g.lab...) {
		if s.name != in.Name {
			continue
		}
		out := &sheet{name: s.name, state: s.state, prices: map[string]pricing.Decimal{}, kb: map[string]pricing.Decimal{}}
		for tool, p := range s.prices {
			out.prices[tool], out.kb[tool] = p, s.kb[tool]
		}
		for tool, c := range in.Set {
			if c.PerCall != nil {
				out.prices[tool] = *c.PerCall
			}
			if c.PerKBOut != nil {
				out.kb[tool] = *c.PerKBOut
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("there is no experiment of this name")
}

func (g *Gateway) labAnswer(method string, u *url.URL, body []byte) (any, error) {
	var in struct {
		tried
		From   string
		Sheets []tried
	}
	if method != "GET" {
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
	}
	switch method + " " + u.Path {
	case "GET /admin/shadow/sheets":
		return g.labSheets(), nil
	case "GET /admin/shadow":
		return g.labStatus(), nil
	case "POST /admin/shadow/drop", "POST /admin/shadow/validate":
		for i, s := range g.lab {
			if s.name == in.Name && u.Path == "/admin/shadow/drop" {
				g.lab = slices.Delete(g.lab, i, i+1)
				break
			}
			if s.name == in.Name {
				s.state = shadow.Validated
			}
		}
		return map[string]string{"name": in.Name}, nil
	case "POST /admin/shadow":
		s, err := g.sheet(tried{in.From, in.Set})
		if err != nil {
			return nil, err
		}
		s.name, s.state = in.Name, shadow.Validated
		g.lab = slices.DeleteFunc(g.lab, func(was *sheet) bool { return was.name == in.Name })
		g.lab = append(g.lab, s)
		return map[string]string{"name": in.Name}, nil
	case "POST /admin/shadow/start", "POST /admin/shadow/stop", "POST /admin/shadow/promote", "POST /admin/shadow/rollback":
		return g.labMove(u.Path, in.Name), nil
	case "POST /admin/shadow/sums":
		return g.labSums(in.Sheets)
	case "POST /admin/shadow/replay":
		return g.labReplay(in.Sheets)
	case "GET /admin/shadow/replay":
		return map[string]any{"done": .4, "running": true}, nil
	case "GET /admin/shadow/promote":
		s, err := g.sheet(tried{Name: u.Query().Get("name")})
		if err != nil {
			return nil, err
		}
		r := g.labReport(s)
		return map[string]any{"report": r, "guardrails": r.Guardrails, "keys": 41, "concerned": 41}, nil
	case "GET /admin/shadow/rollback":
		return shadow.RolledBackTo{Name: "pro-tier", Total: 12345, Keys: []shadow.MadeGood{{ID: g.keys[1].ID, Name: g.keys[1].Name, Credits: 10045, Calls: 812}, {ID: g.keys[3].ID, Name: g.keys[3].Name, Credits: 2300, Calls: 97}}}, nil
	case "GET /admin/shadow/experiment":
		return g.labTrial()
	case "GET /admin/shadow/statement":
		return map[string]any{"lines": g.labLines()}, nil
	}
	return nil, fmt.Errorf("%s %s: not found", method, u.Path)
}

func (g *Gateway) labMove(path, name string) any {
	for _, s := range g.lab {
		if s.name == name {
			s.started = g.Now()
			s.state = map[string]string{"/admin/shadow/start": shadow.Shadowing, "/admin/shadow/stop": shadow.Stopped, "/admin/shadow/promote": shadow.IsLive}[path]
		}
	}
	return shadow.RolledBackTo{Name: "pro-tier", Total: 12345, Keys: []shadow.MadeGood{}}
}

func (g *Gateway) labSheets() api.LabSheets {
	var out api.LabSheets
	for _, s := range append([]*sheet{liveSheet()}, g.lab...) {
		if s.state == shadow.Stopped || g.NoLab && s.name != "live" {
			continue
		}
		if s.faults != nil {
			out.Sheets = append(out.Sheets, api.LabSheet{Name: s.name, State: s.state, Faults: s.faults})
			continue
		}
		if g.Trying && s.name == "pro-tier" {
			s.state = shadow.InCanary
		}
		row := api.LabSheet{Name: s.name, State: s.state, Hash: fmt.Sprint(s.name, s.prices), Tools: map[string]api.LabPrice{}}
		for tool, p := range s.prices {
			row.Tools[tool] = api.LabPrice{PerCall: p.String(), PerKBOut: s.kb[tool].String()}
		}
		row.Default = row.Tools["*"]
		delete(row.Tools, "*")
		out.Sheets = append(out.Sheets, row)
	}
	return out
}

func (g *Gateway) labStatus() any {
	list := []shadow.Status{}
	for _, s := range g.lab {
		e := shadow.Status{Experiment: shadow.Experiment{Name: s.name, State: s.state}, Coverage: 1}
		if !s.started.IsZero() {
			e.Started = &s.started
		}
		if g.Refused && s.name == "pro-tier" {
			at := g.Now().Add(-3 * time.Hour)
			e.State = shadow.IsReviewed
			e.Refused = &shadow.Refused{At: at, Asked: at, Why: "guardrails stand against it: newlyDeniedAttempts is 0.031 (limit 0.01)"}
		}
		list = append(list, e)
	}
	return map[string]any{"experiments": list}
}

// worth is what a tool's calls come to under a sheet, nothing refused.
func (s *sheet) worth(t tool) (calls int, credits pricing.Credits) {
	calls = int(t.share * 100_000)
	return calls, pricing.Credits(int64(calls) * int64(s.prices[t.name]+6*s.kb[t.name]) / int64(pricing.One))
}

func (g *Gateway) labSums(sheets []tried) (any, error) {
	out := sums.Sums{TookMs: 31, From: g.Now().Add(-13 * 24 * time.Hour)}
	for _, t := range sheets {
		s, err := g.sheet(t)
		if err != nil {
			return nil, err
		}
		var sum pricing.Credits
		out.Calls = 0
		if g.Empty {
			out.Credits = append(out.Credits, 0)
			continue
		}
		for _, tool := range tools() {
			n, credits := s.worth(tool)
			out.Calls += n
			sum += credits
		}
		out.Credits = append(out.Credits, sum)
	}
	return out, nil
}

func (g *Gateway) labReplay(sheets []tried) (any, error) {
	var out []*report.Report
	for _, t := range sheets {
		s, err := g.sheet(t)
		if err != nil {
			return nil, err
		}
		out = append(out, g.labReport(s))
	}
	return map[string]any{"reports": out}, nil
}

// labReport is what a sheet would have meant: a made-up share of its calls is
// refused, more where it is dearer.
func (g *Gateway) labReport(s *sheet) *report.Report {
	now := g.Now()
	live := liveSheet()
	r := &report.Report{Name: s.name, Live: "9f3c1a77d0", Candidate: fmt.Sprint(s.prices, s.kb), From: now.Add(-14 * 24 * time.Hour), To: now, Grade: "A", Coverage: 1, LogDigest: "41d0c7ab19"}
	if fmt.Sprint(s.prices, s.kb) == fmt.Sprint(live.prices, map[string]pricing.Decimal{}) || s.name == "live" {
		r.Candidate = r.Live
	}
	e := &r.Exact
	for _, t := range tools() {
		n, c0 := live.worth(t)
		_, c1 := s.worth(t)
		r.Attempts += n
		e.Live.Potential += c0
		e.Candidate.Potential += c1
		e.Tools = append(e.Tools, report.ToolRow{Tool: t.name, Calls: n, Live: c0, Candidate: c1, MarginLive: c0, Margin: c1})
	}
	e.Live.Collectable = e.Live.Potential * 97 / 100
	lost := max(e.Candidate.Potential-e.Live.Potential, 0) / 9
	e.Candidate.Collectable = e.Candidate.Potential*97/100 - lost
	e.Change = report.Change{Total: e.Candidate.Collectable - e.Live.Collectable, AccessLost: -lost, Refunds: -lost / 4}
	e.Change.Rate = e.Change.Total - e.Change.AccessLost - e.Change.Refunds
	rise := float64(e.Candidate.Potential)/float64(e.Live.Potential) - 1
	g.labKeys(r, rise)
	tight := 3.1
	e.Runs = report.Runs{Runs: 204, BrokenLive: .002, Broken: .002 + max(rise, 0)/30, CostP50Live: 14, CostP90Live: 42, CostP99Live: 67, StrandedLive: 136,
		CostP50: 14 * (1 + rise), CostP90: 42 * (1 + rise), CostP99: 67 * (1 + rise), Stranded: pricing.Credits(136 * (1 + 4*max(rise, 0))), Predictability: &tight}
	e.Newly.Attempts = int(max(rise, 0) * float64(r.Attempts) / 30)
	r.Projected = report.Projected{Lift: &report.Interval{Estimate: rise, Low: rise - .05, High: rise + .06}}
	for _, el := range []float64{0, -.25, -.5, -1, -1.5, -2} {
		r.Projected.Sensitivity = append(r.Projected.Sensitivity, report.Sensitivity{Elasticity: el, Change: float64(e.Change.Total) * (1 + el*1.2)})
	}
	even, lose := -.83, .17
	r.Projected.BreakEven, r.Projected.AffordToLose = &even, &lose
	g.labBalances(&r.Projected.Runway, rise)
	r.Attempts, r.Seed, r.Limits = max(r.Attempts, 1), 20260330, []string{"How callers react to a price: every figure is about the same calls at other prices.", "Calls that were never made because an earlier one was refused."}
	r.Guardrails = labGuardrails(r, rise)
	return r
}

func (g *Gateway) labBalances(w *report.Runway, rise float64) {
	w.EmptyBy7, w.EmptyBy30 = 3, 9
	for d := range report.FanDays + 1 {
		left := 1_240_000 - float64(d)*21_000*(1+rise)
		spread := 9_000 * math.Sqrt(float64(d))
		w.Fan = append(w.Fan, report.FanDay{Day: d, P10: left - spread, P50: left, P90: left + spread})
	}
	for i := range min(len(g.keys), 10) {
		k := &g.keys[i]
		w.Soonest = append(w.Soonest, report.RunwayKey{ID: k.ID, Name: k.Name, Balance: pricing.Credits(400 * (i + 1)), Days: float64(i*i+1) * 1.3, EmptyBy7: 1 / float64(i+1)})
	}
}

func (g *Gateway) labKeys(r *report.Report, rise float64) {
	e := &r.Exact
	for i := range min(len(g.keys), 24) {
		k := &g.keys[i]
		row := report.KeyRow{ID: k.ID, Name: k.Name, Live: pricing.Credits(1000 + i*377), Tool: tools()[i%len(tools())].name, Admitted: 900}
		row.Candidate = row.Live + pricing.Credits(float64(row.Live)*rise*math.Sin(float64(i)+.5)*2.5)
		if r.Live != r.Candidate && rise > 0 && i%6 == 1 {
			at := r.From.Add(time.Duration(i*13) * time.Hour)
			row.FirstDeniedAt, row.NewlyDenied, row.StoppedBy, row.Denied, row.Run = &at, 10+i*7, "insufficient_credits", 10+i*7, fmt.Sprintf("run-%d", i*41)
			e.Newly.Keys++
			strip := make([]int, 14*24)
			for h := i * 13; h < len(strip); h++ {
				strip[h] = 1 + (h-i*13)/40
			}
			e.Timeline.Keys = append(e.Timeline.Keys, report.TimelineKey{ID: k.ID, Name: k.Name, Denied: strip})
			e.Timeline.From, e.Timeline.Hours = &r.From, len(strip)
			e.Survival.Curve = append(e.Survival.Curve, report.CurveStep{Hours: float64(i * 13), Share: 1 - float64(e.Newly.Keys)/24})
		}
		if row.Candidate > row.Live*3/2 {
			e.Bills.Shocked++
		}
		e.Keys = append(e.Keys, row)
		switch {
		case row.Candidate < row.Live:
			e.Winners = append(e.Winners, row)
			e.Bills.Winners++
		case row.Candidate > row.Live:
			e.Losers = append(e.Losers, row)
			e.Bills.Losers++
		}
	}
	e.Bills.Shock = float64(e.Bills.Shocked) / float64(max(len(e.Keys), 1))
	by := func(a, b report.KeyRow) int { return int(a.Candidate - a.Live - b.Candidate + b.Live) }
	slices.SortFunc(e.Winners, by)
	slices.SortFunc(e.Losers, func(a, b report.KeyRow) int { return by(b, a) })
	e.Winners, e.Losers = e.Winners[:min(len(e.Winners), 10)], e.Losers[:min(len(e.Losers), 10)]
	e.LiveLife.Curve = []report.CurveStep{{Hours: 250, Share: .98}}
}

func labGuardrails(r *report.Report, rise float64) []report.Guardrail {
	e := &r.Exact
	share := float64(e.Newly.Attempts) / float64(r.Attempts)
	return []report.Guardrail{
		{Name: "grade", Value: "A", Limit: "B", Pass: true, Blocks: report.BlocksAll}, {Name: "coverage", Value: 1.0, Limit: 1.0, Pass: true, Blocks: report.BlocksAll},
		{Name: "selfDifference", Value: 0.0, Limit: 0.0, Pass: true, Blocks: report.BlocksAll}, {Name: "windowDays", Value: 14.0, Limit: 14.0, Pass: true, Blocks: report.BlocksUnattended},
		{Name: "effectivePayers", Value: 4.1, Limit: 5.0, Pass: false, Blocks: report.BlocksUnattended},
		{Name: "newlyDeniedAttempts", Value: share, Limit: .01, Pass: share <= .01, Blocks: report.BlocksAll},
		{Name: "billShock", Value: e.Bills.Shock, Limit: .05, Pass: e.Bills.Shock <= .05, Blocks: report.BlocksAll},
		{Name: "steepestRise", Value: 1.58, Limit: 3.0, Pass: true, Blocks: report.BlocksAll},
		{Name: "negativeMarginTools", Value: 1.0, Limit: 0.0, Pass: false, Blocks: report.BlocksNothing},
		{Name: "liftLowerBound", Value: rise - .05, Limit: -.02, Pass: rise-.05 > -.02, Blocks: report.BlocksAll},
	}
}

func (g *Gateway) labLines() []shadow.Line {
	var out []shadow.Line
	for i := range 40 {
		t := tools()[i%len(tools())]
		l := shadow.Line{At: g.Now().Add(time.Duration(i-40) * time.Minute), Call: fmt.Sprintf("req_%016x", i), Tool: t.name, Outcome: "ok", Live: pricing.Credits(t.price), Candidate: pricing.Credits(t.price + 3*int64(i%2))}
		if i%9 == 8 {
			l.Candidate, l.No = 0, []string{"insufficient_credits"}
		}
		out = append(out, l)
	}
	return out
}

// Drafts adds candidates that are not validated: one with mistakes, one without.
func (g *Gateway) Drafts() {
	wrong, right := &sheet{name: "by-result", state: shadow.IsDraft, faults: []string{`3:3: defaults.per_cal: there is no such field; did you mean "per_call"?`, `4:9: rules[0]: a rule needs a "price"`}}, liveSheet()
	right.name, right.state = "flat-4", shadow.IsDraft
	for tool := range right.prices {
		right.prices[tool] = 4 * pricing.One
	}
	g.lab = append(g.lab, wrong, right)
}
