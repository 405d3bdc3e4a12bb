package report

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"maps"
	"time"

	"paygate/pricing"
	"paygate/store/journal"
)

// segment is what a stretch of the journal adds up to. Whatever a report says
// of many calls it says of segments, so it says the same whether a stretch was
// added up long ago or just now.
type segment struct {
	First, Last uint64    // numbers of the events it covers; between them may be some that it leaves out
	From, To    time.Time // earliest and latest time of an event or call in it
	Events      int
	Use         map[useAt]*use
	Took        map[string]map[int64]int // how many calls of a tool took so many whole ms
	Acts        map[act]int              // events that are not calls
	Moves       map[moveAt]move          // changes of keys' balances
}

// useAt is where a call is counted: UTC hour since 1970, key and tool.
type useAt struct {
	Hour      int64
	Key, Tool string
}

type use struct {
	Allowed, Denied, Failed, Paid int // Paid: charged something
	Credits, Due                  int64
	TookAllowed, TookDenied       time.Duration
	FirstPaid                     int64          // ms since 1970 of the first that paid
	Reasons                       map[string]int // of denials: the first finding
}

type act struct{ Type, Actor string }

type moveAt struct {
	Hour      int64
	Key, Type string
}

// move is what movements of one type did to a balance.
type move struct {
	N   int
	Net int64
}

func newSegment(first uint64) *segment {
	return &segment{First: first, Use: map[useAt]*use{}, Took: map[string]map[int64]int{}, Acts: map[act]int{}, Moves: map[moveAt]move{}}
}

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// add counts an event.
func (s *segment) add(e *journal.Event) {
	s.Events++
	s.Last = max(s.Last, e.Seq)
	s.reach(e.At)
	for _, m := range movementsOf(e) {
		at := moveAt{hourOf(e.At), m.key, m.Type}
		was := s.Moves[at]
		s.Moves[at] = move{was.N + 1, was.Net + m.change}
	}
	c := e.Call
	if c == nil {
		s.Acts[act{e.Type, e.Actor}]++
		return
	}
	s.reach(c.At)
	s.call(c)
}

func (s *segment) reach(t time.Time) {
	if s.From.IsZero() || t.Before(s.From) {
		s.From = t
	}
	if t.After(s.To) {
		s.To = t
	}
}

func (s *segment) call(c *journal.Call) {
	at := useAt{hourOf(c.At), c.Key, c.Tool}
	u := s.Use[at]
	if u == nil {
		u = &use{}
		s.Use[at] = u
	}
	u.Credits += int64(c.Charged)
	u.Due += Due(c)
	switch {
	case c.Outcome == pricing.Denied:
		u.Denied++
		u.TookDenied += c.Took
		if len(c.Findings) > 0 {
			if u.Reasons == nil {
				u.Reasons = map[string]int{}
			}
			u.Reasons[c.Findings[0]]++
		}
	default:
		u.Allowed++
		u.TookAllowed += c.Took
	}
	if c.Outcome == pricing.Failed || c.Outcome == pricing.Lost {
		u.Failed++
	}
	if c.Charged > 0 {
		if u.Paid++; u.FirstPaid == 0 || c.At.UnixMilli() < u.FirstPaid {
			u.FirstPaid = c.At.UnixMilli()
		}
	}
	took := s.Took[c.Tool]
	if took == nil {
		took = map[int64]int{}
		s.Took[c.Tool] = took
	}
	took[c.Took.Milliseconds()]++
}

// clone is a copy that nobody changes.
func (s *segment) clone() *segment {
	out := *s
	out.Use = make(map[useAt]*use, len(s.Use))
	for at, u := range s.Use {
		copied := *u
		copied.Reasons = maps.Clone(u.Reasons)
		out.Use[at] = &copied
	}
	out.Took = make(map[string]map[int64]int, len(s.Took))
	for tool, took := range s.Took {
		out.Took[tool] = maps.Clone(took)
	}
	out.Acts, out.Moves = maps.Clone(s.Acts), maps.Clone(s.Moves)
	return &out
}

// stored is a segment as it is written: names once, rows as numbers.
type stored struct {
	First, Last uint64
	From, To    int64 // ms since 1970
	Events      int
	Names       []string
	Use         [][12]int64 // hour, key, tool, the nine numbers of a use
	Reasons     [][3]int64  // row of Use, reason, how many
	Took        [][3]int64  // tool, ms, how many
	Acts        [][3]int64  // type, actor, how many
	Moves       [][5]int64  // hour, key, type, how many, net
}

// names numbers texts as they come.
type names struct {
	list []string
	at   map[string]int64
}

func (n *names) of(text string) int64 {
	i, ok := n.at[text]
	if !ok {
		i = int64(len(n.list))
		n.list, n.at[text] = append(n.list, text), i
	}
	return i
}

func (s *segment) encode() ([]byte, error) {
	n := &names{at: map[string]int64{}}
	out := stored{First: s.First, Last: s.Last, From: s.From.UnixMilli(), To: s.To.UnixMilli(), Events: s.Events}
	for at, u := range s.Use {
		row := int64(len(out.Use))
		out.Use = append(out.Use, [12]int64{at.Hour, n.of(at.Key), n.of(at.Tool), int64(u.Allowed), int64(u.Denied), int64(u.Failed), int64(u.Paid),
			u.Credits, u.Due, int64(u.TookAllowed), int64(u.TookDenied), u.FirstPaid})
		for reason, many := range u.Reasons {
			out.Reasons = append(out.Reasons, [3]int64{row, n.of(reason), int64(many)})
		}
	}
	for tool, took := range s.Took {
		for ms, many := range took {
			out.Took = append(out.Took, [3]int64{n.of(tool), ms, int64(many)})
		}
	}
	for a, many := range s.Acts {
		out.Acts = append(out.Acts, [3]int64{n.of(a.Type), n.of(a.Actor), int64(many)})
	}
	for at, m := range s.Moves {
		out.Moves = append(out.Moves, [5]int64{at.Hour, n.of(at.Key), n.of(at.Type), int64(m.N), m.Net})
	}
	out.Names = n.list
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(out); err != nil {
		return nil, fmt.Errorf("segment %d: %w", s.First, err)
	}
	return b.Bytes(), nil
}

func decodeSegment(raw []byte) (*segment, error) {
	var in stored
	if err := gob.NewDecoder(bytes.NewReader(raw)).Decode(&in); err != nil {
		return nil, fmt.Errorf("segment: %w", err)
	}
	s := newSegment(in.First)
	s.Last, s.From, s.To, s.Events = in.Last, time.UnixMilli(in.From).UTC(), time.UnixMilli(in.To).UTC(), in.Events
	rows := make([]use, len(in.Use))
	for i, r := range in.Use {
		rows[i] = use{Allowed: int(r[3]), Denied: int(r[4]), Failed: int(r[5]), Paid: int(r[6]), Credits: r[7], Due: r[8],
			TookAllowed: time.Duration(r[9]), TookDenied: time.Duration(r[10]), FirstPaid: r[11]}
		s.Use[useAt{r[0], in.Names[r[1]], in.Names[r[2]]}] = &rows[i]
	}
	for _, r := range in.Reasons {
		u := &rows[r[0]]
		if u.Reasons == nil {
			u.Reasons = map[string]int{}
		}
		u.Reasons[in.Names[r[1]]] = int(r[2])
	}
	for _, r := range in.Took {
		tool := in.Names[r[0]]
		if s.Took[tool] == nil {
			s.Took[tool] = map[int64]int{}
		}
		s.Took[tool][r[1]] = int(r[2])
	}
	for _, r := range in.Acts {
		s.Acts[act{in.Names[r[0]], in.Names[r[1]]}] = int(r[2])
	}
	for _, r := range in.Moves {
		s.Moves[moveAt{r[0], in.Names[r[1]], in.Names[r[2]]}] = move{int(r[3]), r[4]}
	}
	return s, nil
}
