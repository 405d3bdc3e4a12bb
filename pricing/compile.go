package pricing

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// rules is a compiled Spec that is more than prices by tool.
type rules struct {
	spec   Spec
	lines  []line           // the rules in order, then the defaults
	exact  map[string][]int // by tool name: the lines that can be for it
	others []int            // the lines for tools that no rule names
	dims   []Dim
	layout int64 // tells the counters of this sheet from those of another; 0: there are none
}

// line is one price and when it holds.
type line struct {
	when
	price  Price
	billOn string
	cached Decimal
	retry  string
	within time.Duration // after which a repetition is charged; 0: never
	free   int           // first slot of the allowance's counters; 0: none
	tiers  int           // first slot of the tiers' counters; 0: none
}

// ErrCounters means that a sheet has more tiers and allowances than a payer has
// counters for.
var ErrCounters = errors.New("too many tiers and free allowances: a sheet has room for seven graduated ones or allowances")

// ErrDims means that a sheet's prices depend on too many arguments.
var ErrDims = fmt.Errorf("too many dimensions: a sheet may depend on %d arguments", MostDims)

// Compile makes a sheet. It trusts the numbers of the spec; package sheetfile
// checks what people write.
func Compile(spec Spec) (*Sheet, error) {
	if s := flat(spec); s != nil {
		return s, nil
	}
	slices.SortFunc(spec.Plans, func(a, b Plan) int { return cmp.Compare(a.Name, b.Name) })
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("price sheet: %w", err)
	}
	s := &Sheet{canonical: version2 + string(text) + "\n"}
	s.seal()
	// the sheet keeps a spec of its own, which nobody else can change
	r := &rules{exact: map[string][]int{}}
	if err := json.Unmarshal(text, &r.spec); err != nil {
		return nil, fmt.Errorf("price sheet: %w", err)
	}
	for _, rule := range r.spec.Rules {
		r.lines = append(r.lines, r.line(rule))
	}
	r.lines = append(r.lines, r.line(Rule{Price: r.spec.Defaults}))
	if err := r.assign(); err != nil {
		return nil, err
	}
	r.index()
	if r.dims = r.spec.dims(); len(r.dims) > MostDims {
		return nil, ErrDims
	}
	s.rules = r
	s.refund = r.lines[len(r.lines)-1].billOn != BillAccepted
	s.def, s.tools = r.posted(""), map[string]ToolPrice{}
	for name := range r.exact {
		s.tools[name] = r.posted(name)
	}
	return s, nil
}

func (r *rules) line(rule Rule) line {
	m, d := rule.Match, r.spec.Defaults
	l := line{price: rule.Price, when: when{tool: m.Tool, plan: m.Plan, group: m.Group, result: m.Result, tags: pairs(m.Tags), dims: pairs(m.Dims),
		in: m.In, out: m.Out, hours: m.Hours, after: m.Result != "" || m.Out != Range{}}}
	for _, day := range m.Days {
		l.days |= 1 << day
	}
	l.billOn = cmp.Or(rule.Price.BillOn, d.BillOn, BillAccepted)
	if l.retry, l.within = rule.Price.Retry, rule.Price.RetryWithin; l.retry == "" {
		l.retry, l.within = cmp.Or(d.Retry, RetryFree), d.RetryWithin
	}
	if share := cmp.Or(rule.Price.Cached, d.Cached); share != nil {
		l.cached = *share
	}
	return l
}

func pairs(m map[string]string) []pair {
	var out []pair
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, pair{name, m[name]})
	}
	return out
}

// assign gives every allowance and every tier its counters: slot 0 says whose
// they are.
func (r *rules) assign() error {
	next, h := 1, sha256.New()
	take := func(n, i int, what any) int {
		match := Match{}
		if i < len(r.spec.Rules) {
			match = r.spec.Rules[i].Match
		}
		text, _ := json.Marshal([]any{match, what}) // of numbers and texts: it cannot fail
		h.Write(text)
		next += n
		return next - n
	}
	for i := range r.lines {
		l := &r.lines[i]
		if l.price.Free != nil {
			l.free = take(2, i, l.price.Free)
		}
		if t := l.price.Tiers; t != nil {
			n := 2
			if t.Mode == Volume {
				n = 4
			}
			l.tiers = take(n, i, t)
		}
	}
	if next > Slots {
		return ErrCounters
	}
	if next > 1 {
		r.layout = int64(binary.BigEndian.Uint64(h.Sum(nil))>>2 | 1)
	}
	return nil
}

// index finds, for every tool that a rule names, the lines that can be for it.
func (r *rules) index() {
	for _, l := range r.lines {
		if l.tool != "" && !isGlob(l.tool) {
			r.exact[l.tool] = nil
		}
	}
	for i, l := range r.lines {
		for name := range r.exact {
			if l.about(name) {
				r.exact[name] = append(r.exact[name], i)
			}
		}
		if l.tool == "" || isGlob(l.tool) {
			r.others = append(r.others, i)
		}
	}
}

// posted is what is announced for a tool: the price of the first rule for it
// that has no other conditions, rounded up to whole credits. The empty name is
// any other tool.
func (r *rules) posted(tool string) ToolPrice {
	for _, i := range r.candidates(tool) {
		l := &r.lines[i]
		bare := *l
		bare.tool = ""
		if tool == "" && l.tool != "" && strings.Trim(l.tool, "*") != "" || !bare.when.always() {
			continue
		}
		if tool != "" && !l.about(tool) {
			continue
		}
		return l.price.announced()
	}
	return ToolPrice{}
}

func (w *when) always() bool {
	return w.plan == "" && w.group == "" && w.result == "" && w.tags == nil && w.dims == nil && w.in == Range{} && w.out == Range{} && w.hours == Span{} && w.days == 0
}

func (r *rules) candidates(tool string) []int {
	if list, ok := r.exact[tool]; ok {
		return list
	}
	return r.others
}

// flat is the sheet of a spec that says no more than prices by tool: so the
// configuration's prices and a file that says the same are one sheet.
func flat(spec Spec) *Sheet {
	d := spec.Defaults
	bill := cmp.Or(d.BillOn, BillAccepted)
	if spec.CreditUSD != 0 || len(spec.Plans) > 0 || len(spec.Dims) > 0 || !d.plain() || bill != BillAccepted && bill != BillSuccess || d.Cached != nil && *d.Cached != 0 || cmp.Or(d.Retry, RetryFree) != RetryFree || d.RetryWithin != 0 {
		return nil
	}
	tools := map[string]ToolPrice{}
	for _, r := range spec.Rules {
		m, p := r.Match, r.Price
		tool := m.Tool
		m.Tool = ""
		w := when{plan: m.Plan, group: m.Group, result: m.Result, tags: pairs(m.Tags), dims: pairs(m.Dims), in: m.In, out: m.Out, hours: m.Hours, days: uint8(len(m.Days))}
		if _, twice := tools[tool]; twice || tool == "" || isGlob(tool) || !w.always() || !p.plain() || p.Cached != nil || p.Retry != "" || p.BillOn != "" && p.BillOn != bill {
			return nil
		}
		tools[tool] = p.tool()
	}
	return FromTools(d.tool(), tools, bill == BillSuccess)
}

// plain says whether a price is a ToolPrice.
func (p Price) plain() bool {
	return p.PerCall%One == 0 && p.PerKBIn%One == 0 && p.PerKBOut%One == 0 && p.PerSecond == 0 && p.Min == 0 && p.Max == 0 && p.Hold == 0 && p.Free == nil && p.Tiers == nil
}

func (p Price) tool() ToolPrice {
	return ToolPrice{PerCall: p.PerCall.whole(), PerKBIn: p.PerKBIn.whole(), PerKBOut: p.PerKBOut.whole()}
}
