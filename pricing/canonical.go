package pricing

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"
)

// Canonical is the one text of the sheet that its hash is of. ReadCanonical
// reads it back.
func (s *Sheet) Canonical() string { return s.canonical }

// ReadCanonical is the sheet of a canonical text: what was stored comes back
// with the same hash, or not at all.
func ReadCanonical(text string) (*Sheet, error) {
	if spec, ok := strings.CutPrefix(text, version2); ok {
		return readSpec(spec, text)
	}
	var def ToolPrice
	var refund bool
	tools := map[string]ToolPrice{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line, name := lines.Text(), ""
		var p ToolPrice
		var err error
		switch word, _, _ := strings.Cut(line, " "); word {
		case "paygate-sheet":
		case "refund":
			_, err = fmt.Sscanf(line, "refund %t", &refund)
		case "default":
			_, err = fmt.Sscanf(line, "default %d %d %d", &def.PerCall, &def.PerKBIn, &def.PerKBOut)
		case "tool":
			_, err = fmt.Sscanf(line, "tool %q %d %d %d", &name, &p.PerCall, &p.PerKBIn, &p.PerKBOut)
			tools[name] = p
		default:
			err = fmt.Errorf("unknown word %q", word)
		}
		if err != nil {
			return nil, fmt.Errorf("stored price sheet, line %d: %w", n, err)
		}
	}
	s := FromTools(def, tools, refund)
	if lines.Err() != nil || s.canonical != text {
		return nil, fmt.Errorf("stored price sheet %.12s: it does not read back as it was written", s.hash)
	}
	return s, nil
}

// version2 begins the canonical text of sheets with rules.
const version2 = "paygate-sheet 2\n"

func readSpec(text, canonical string) (*Sheet, error) {
	var spec Spec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return nil, fmt.Errorf("stored price sheet: %w", err)
	}
	s, err := Compile(spec)
	if err != nil {
		return nil, fmt.Errorf("stored price sheet: %w", err)
	}
	if s.canonical != canonical {
		return nil, fmt.Errorf("stored price sheet %.12s: it does not read back as it was written", s.hash)
	}
	return s, nil
}

// Spec is the content of the sheet.
func (s *Sheet) Spec() Spec {
	var spec Spec
	if text, ok := strings.CutPrefix(s.canonical, version2); ok {
		if err := json.Unmarshal([]byte(text), &spec); err == nil { // it was read from this text before
			return spec
		}
	}
	price := func(p ToolPrice) Price {
		return Price{PerCall: Decimal(p.PerCall) * One, PerKBIn: Decimal(p.PerKBIn) * One, PerKBOut: Decimal(p.PerKBOut) * One}
	}
	spec.Defaults = price(s.def)
	spec.Defaults.BillOn = BillAccepted
	if s.refund {
		spec.Defaults.BillOn = BillSuccess
	}
	for _, name := range s.Tools() {
		spec.Rules = append(spec.Rules, Rule{Match: Match{Tool: name}, Price: price(s.tools[name])})
	}
	return spec
}
