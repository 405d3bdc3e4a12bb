package report

import (
	"bufio"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store/journal"
)

// factLine is one act of the journal as it was recorded, or the text of a price
// sheet; all sheets that are kept come first. Together they are all that a
// figure of a report is computed from, so that anybody can do it again.
type factLine struct {
	Seq     uint64          `json:"seq,omitempty"`
	At      *time.Time      `json:"at,omitempty"`
	Type    string          `json:"type"` // "sheet", "admit", "call", or that of an audit event
	Actor   string          `json:"actor,omitempty"`
	Subject string          `json:"subject,omitempty"` // stable id of the key it is about
	Entries []factEntry     `json:"entries,omitempty"`
	Hold    *factHold       `json:"hold,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
	Call    *factCall       `json:"call,omitempty"`
	Sheet   *factSheet      `json:"sheet,omitempty"`
}

// factSheet is a price sheet: the hash is the SHA-256 of the text.
type factSheet struct {
	Hash string `json:"hash"`
	Text string `json:"text"`
}

type factEntry struct {
	ID     string `json:"id"`
	From   string `json:"from"`
	To     string `json:"to"`
	Amount int64  `json:"amount"`
	Kind   string `json:"kind"`
	Ref    string `json:"ref,omitempty"`
}

type factHold struct {
	ID      string    `json:"id"`
	Key     string    `json:"key"`
	Credits int64     `json:"credits"`
	Until   time.Time `json:"until"`
}

type factLimit struct {
	Owner    string `json:"owner"`
	Reason   string `json:"reason"` // that a call over it is refused for
	Max      int64  `json:"max"`
	WindowMs int64  `json:"windowMs,omitempty"`
}

// factCall is a call: when it was admitted what is known before it runs, at its
// end all of it.
type factCall struct {
	ID              string            `json:"id"`
	At              time.Time         `json:"at"` // of the decision
	Key             string            `json:"key,omitempty"`
	Payer           string            `json:"payer,omitempty"`
	Group           string            `json:"group,omitempty"`
	Plan            string            `json:"plan,omitempty"`
	Tenant          string            `json:"tenant,omitempty"`
	Tool            string            `json:"tool"`
	Server          string            `json:"server,omitempty"`
	Run             string            `json:"run,omitempty"`
	Tags            map[string]string `json:"tags,omitempty"`
	Dims            map[string]string `json:"dims,omitempty"`
	Outcome         string            `json:"outcome,omitempty"`
	Class           string            `json:"class,omitempty"`
	In              int64             `json:"in"`
	Out             int64             `json:"out"`
	TookMs          int64             `json:"tookMs"`
	Units           int64             `json:"units,omitempty"`
	Cost            int64             `json:"cost,omitempty"`
	Cached          bool              `json:"cached,omitempty"`
	Repeated        bool              `json:"repeated,omitempty"`
	RepeatedAfterMs int64             `json:"repeatedAfterMs,omitempty"`
	Sheet           string            `json:"sheet,omitempty"`    // hash of the one it was judged by
	AdmitSeq        uint64            `json:"admitSeq,omitempty"` // 0: it was refused
	Observed        bool              `json:"observed,omitempty"` // shadow mode: nothing was enforced or moved
	Quote           int64             `json:"quote"`
	Charged         int64             `json:"charged"`
	Would           int64             `json:"would,omitempty"` // charged, but for shadow mode
	Shortfall       int64             `json:"shortfall,omitempty"`
	Limits          []factLimit       `json:"limits,omitempty"`
	Findings        []string          `json:"findings,omitempty"` // every reason against it
	Reasons         []string          `json:"reasons,omitempty"`  // those of credits and limits
	BatchN          int               `json:"batchN,omitempty"`
	BatchI          int               `json:"batchI,omitempty"`
	Together        bool              `json:"together,omitempty"` // refused in one decision with its batch
}

// facts streams every act that is kept, oldest first, one JSON object a line.
func (p *Reports) facts(w http.ResponseWriter, r *http.Request) error {
	var after api.Number
	if text := r.URL.Query().Get("after"); text == "" {
		after.SetText("0")
	} else if after.SetText(text); !after.Valid {
		return api.BadRequest("after is the number of the last act that you have, such as 1200; leave it out for all")
	}
	if err := p.opts.Book.Flush(r.Context()); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := bufio.NewWriterSize(w, 64<<10)
	to := json.NewEncoder(out)
	texts, err := p.opts.Sheets()
	for _, hash := range slices.Sorted(maps.Keys(texts)) { // in order: the same facts are the same bytes
		if err == nil {
			err = to.Encode(factLine{Type: "sheet", Sheet: &factSheet{hash, texts[hash]}})
		}
	}
	if err == nil {
		err = p.opts.Book.Journal().Acts(r.Context().Done(), uint64(after.Or(0, 0, 1<<62)), func(seq uint64, a journal.Act) error { return to.Encode(factOf(seq, a)) })
	}
	if err == nil {
		err = out.Flush()
	}
	return err
}

func factOf(seq uint64, a journal.Act) factLine {
	if a.Admit != nil {
		known := *a.Admit // before it ran; the block may know its end already
		known.Outcome, known.Class, known.Server, known.Out, known.Took, known.Units, known.Cost = pricing.Pending, "", "", 0, 0, 0, 0
		known.Charged, known.Would, known.Shortfall, known.Cached = 0, 0, 0, false
		return factLine{Seq: seq, At: &a.Admit.At, Type: "admit", Call: factsOf(&known)}
	}
	e := a.Event
	line := factLine{Seq: seq, At: &e.At, Type: e.Type, Actor: e.Actor, Subject: e.Subject, Data: e.Data}
	if e.Call != nil {
		line.Call = factsOf(e.Call)
	}
	if h := e.Hold; h != nil {
		line.Hold = &factHold{h.ID, h.Key, int64(h.Credits), h.Until}
	}
	for _, n := range e.Entries() {
		line.Entries = append(line.Entries, factEntry{n.ID, string(n.From), string(n.To), int64(n.Amount), n.Kind, n.Ref})
	}
	return line
}

func factsOf(c *journal.Call) *factCall {
	f := &factCall{ID: c.ID, At: c.At, Key: c.Key, Payer: c.Payer, Group: c.Group, Plan: c.Plan, Tenant: c.Tenant, Tool: c.Tool, Server: c.Server, Run: c.Run,
		Tags: c.Tags, Dims: c.Dims, Outcome: c.Outcome.String(), Class: c.Class, In: c.In, Out: c.Out, TookMs: c.Took.Milliseconds(), Units: int64(c.Units), Cost: int64(c.Cost),
		Cached: c.Cached, Repeated: c.Repeated, RepeatedAfterMs: c.RepeatedAfter.Milliseconds(), Sheet: c.Sheet, AdmitSeq: c.AdmitSeq, Observed: c.Observed,
		Quote: int64(c.Quote), Charged: int64(c.Charged), Would: int64(c.Would), Shortfall: int64(c.Shortfall), Findings: c.Findings, Reasons: c.Reasons,
		BatchN: c.BatchN, BatchI: c.BatchI, Together: c.Together}
	if c.Outcome == pricing.Pending {
		f.Outcome = "" // it is only admitted
	}
	for _, l := range c.Limits {
		f.Limits = append(f.Limits, factLimit{string(l.Owner), l.Kind.Reason(), l.Max, l.Window.Milliseconds()})
	}
	return f
}
