// Package oracle is an accountant who believes nobody. It reads the facts that a
// gateway exports (GET /admin/facts), judges every recorded call again under
// the live prices and under a candidate's, and computes every figure of a
// report by brute force, in exact fractions, slowly and as plainly as can be.
//
// It shares no code with the product: what it knows of prices, holds, limits
// and plans is written here a second time, from the design and from what the
// product says of itself. Where both agree, either both are right or both have
// misread the same sentence.
package oracle

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Line is one act, or the text of a sheet.
type Line struct {
	Seq     uint64
	At      time.Time
	Type    string
	Subject string
	Entries []Entry
	Hold    *Hold
	Data    json.RawMessage
	Call    *Call
	Sheet   *struct{ Hash, Text string }
}

// Entry moves credits.
type Entry struct {
	From, To string
	Amount   int64
	Kind     string
}

// Hold is a reservation, or a call that waits.
type Hold struct {
	ID, Key string
	Credits int64
}

// Limit bounds a call's payer.
type Limit struct {
	Owner, Reason string
	Max           int64
	WindowMs      int64
}

// Call is a call as it was recorded.
type Call struct {
	ID, Key, Payer, Group, Plan, Tenant, Tool, Run, Outcome, Class, Sheet string
	At                                                                    time.Time
	Tags, Dims                                                            map[string]string
	In, Out, TookMs, Units, Cost, RepeatedAfterMs                         int64
	Cached, Repeated, Observed, Together                                  bool
	AdmitSeq                                                              uint64
	Seq                                                                   uint64 // of its decision
	Quote, Charged, Would, Shortfall                                      int64
	Limits                                                                []Limit
	Findings, Reasons                                                     []string
	BatchN, BatchI                                                        int
}

// Facts are all acts in their order.
type Facts struct {
	Lines  []Line
	Sheets map[string]*Sheet // by hash
}

// Read reads an export. The hash of every sheet is that of its text.
func Read(r io.Reader) (*Facts, error) {
	f, lines := &Facts{Sheets: map[string]*Sheet{}}, bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for n := 1; lines.Scan(); n++ {
		var l Line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if l.Call != nil {
			l.Call.Seq = cmp.Or(l.Call.AdmitSeq, l.Seq)
		}
		if l.Sheet == nil {
			if last := len(f.Lines) - 1; last >= 0 && f.Lines[last].Seq+1 != l.Seq {
				return nil, fmt.Errorf("line %d: act %d follows on %d", n, l.Seq, f.Lines[last].Seq)
			}
			f.Lines = append(f.Lines, l)
			continue
		}
		if sum := sha256.Sum256([]byte(l.Sheet.Text)); hex.EncodeToString(sum[:]) != l.Sheet.Hash {
			return nil, fmt.Errorf("line %d: the text of sheet %s has another hash", n, l.Sheet.Hash)
		}
		s, err := ReadSheet(l.Sheet.Text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		f.Sheets[l.Sheet.Hash] = s
	}
	return f, lines.Err()
}
