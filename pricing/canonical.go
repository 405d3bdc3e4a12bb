package pricing

import (
	"bufio"
	"fmt"
	"strings"
)

// Canonical is the one text of the sheet that its hash is of. ReadCanonical
// reads it back.
func (s *Sheet) Canonical() string { return s.canonical }

// ReadCanonical is the sheet of a canonical text: what was stored comes back
// with the same hash, or not at all.
func ReadCanonical(text string) (*Sheet, error) {
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
