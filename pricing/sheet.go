package pricing

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ToolPrice is what one tool costs. A KB is 1,024 bytes, begun ones count
// whole.
type ToolPrice struct {
	PerCall  Credits // for each call that is answered
	PerKBIn  Credits // for each KB of the arguments as sent
	PerKBOut Credits // for each KB of the result, known only afterwards
}

// Sheet is one version of the prices. It never changes: another price is
// another sheet with another hash. A nil Sheet does not exist.
type Sheet struct {
	def       ToolPrice
	tools     map[string]ToolPrice
	rules     *rules // nil: prices by tool alone
	refund    bool
	hash      string
	canonical string
}

// FromTools makes a sheet of a default price and of prices by exact tool name.
// With refundOnFailure a call that was answered badly costs nothing.
func FromTools(def ToolPrice, tools map[string]ToolPrice, refundOnFailure bool) *Sheet {
	s := &Sheet{def: def, tools: make(map[string]ToolPrice, len(tools)), refund: refundOnFailure}
	names := make([]string, 0, len(tools))
	for name, p := range tools {
		s.tools[name] = p
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	fmt.Fprintf(&b, "paygate-sheet 1\nrefund %t\ndefault %d %d %d\n", refundOnFailure, def.PerCall, def.PerKBIn, def.PerKBOut)
	for _, name := range names {
		p := tools[name]
		fmt.Fprintf(&b, "tool %s %d %d %d\n", strconv.Quote(name), p.PerCall, p.PerKBIn, p.PerKBOut)
	}
	s.canonical = b.String()
	s.seal()
	return s
}

func (s *Sheet) seal() {
	sum := sha256.Sum256([]byte(s.canonical))
	s.hash = hex.EncodeToString(sum[:])
}

// Flat says whether the sheet is no more than prices by exact tool name, so
// that Default, Tool and Tools say all there is.
func (s *Sheet) Flat() bool { return s.rules == nil }

// Hash identifies the sheet by its content: 64 hex digits.
func (s *Sheet) Hash() string { return s.hash }

// Tool is the price that is announced for a tool. In a sheet with rules that is
// the price without conditions, rounded up; a call may cost another one.
func (s *Sheet) Tool(name string) ToolPrice {
	if p, ok := s.tools[name]; ok {
		return p
	}
	if s.rules != nil {
		return s.rules.posted(name)
	}
	return s.def
}

// Default is the price of a tool without one of its own.
func (s *Sheet) Default() ToolPrice { return s.def }

// Tools names the tools with a price of their own, sorted.
func (s *Sheet) Tools() []string { return slices.Sorted(maps.Keys(s.tools)) }

// RefundsFailures says whether a call that was answered badly costs nothing.
func (s *Sheet) RefundsFailures() bool { return s.refund }
