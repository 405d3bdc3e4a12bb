package journal

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"paygate/pricing"
)

// What an act is, as the first byte of its record.
const (
	actEvent byte = iota // an owner's act, or one of ours
	actCall              // a call that has ended: settled, lost or refused
	actOpen              // a call that was admitted and had not ended when its block was cut
)

// Optional parts of a call, one bit each, so that a plain call stays small.
const (
	hasTags uint64 = 1 << iota
	hasDims
	hasGroup // group, plan, tenant
	hasRun
	hasUnits
	hasLimits
	hasFindings
	hasBatch
	hasDeltas
	hasError
	hasRef
	isCached
	isRepeated
	isObserved
	isTogether
	ownPayer // the payer is the key's own account
)

const callPrefix = "req_"

// callID packs "req_" + 16 hex digits, as ours are, into eight bytes.
func (w *writer) callID(id string) {
	if digits, ok := strings.CutPrefix(id, callPrefix); ok && len(digits) == 16 && !strings.ContainsAny(digits, "ABCDEF") {
		if packed, err := hex.AppendDecode(append(w.b, 1), []byte(digits)); err == nil {
			w.b = packed
			return
		}
	}
	w.b = append(w.b, 0)
	w.text(id)
}

func (r *reader) callID() string {
	if r.Byte() != 1 {
		return r.Text()
	}
	packed := r.Take(8, "call id")
	if packed == nil {
		return ""
	}
	var id [len(callPrefix) + 16]byte
	copy(id[:], callPrefix)
	hex.Encode(id[len(callPrefix):], packed)
	return r.slabs.id(id[:])
}

// call writes a call relative to its block's first seq and base time.
func (w *writer) call(c *Call, first uint64, base int64) {
	flags := c.flags()
	w.uint(flags)
	w.callID(c.ID)
	w.word(c.Key)
	if flags&ownPayer == 0 {
		w.word(c.Payer)
	}
	w.word(c.Tool)
	w.word(c.Server)
	w.word(c.Sheet)
	w.word(c.Class)
	w.word(c.IP)
	w.b = append(w.b, byte(c.Outcome))
	w.int(int64(c.AdmitSeq - first))
	w.int(int64(c.SettleSeq - first))
	w.int(millis(c.At) - base)
	w.uint(uint64(c.Took / time.Microsecond))
	w.uint(uint64(c.Gate / time.Microsecond))
	w.uint(uint64(c.In))
	w.uint(uint64(c.Out))
	for _, n := range [...]pricing.Credits{c.Quote, c.Charged, c.Shortfall, c.Surcharge, c.Would} {
		w.uint(uint64(n))
	}
	w.parts(c, flags)
}

func (c *Call) flags() uint64 {
	var f uint64
	set := func(bit uint64, on bool) {
		if on {
			f |= bit
		}
	}
	set(hasTags, len(c.Tags) > 0)
	set(hasDims, len(c.Dims) > 0)
	set(hasGroup, c.Group != "" || c.Plan != "" || c.Tenant != "")
	set(hasRun, c.Run != "")
	set(hasUnits, c.Units != 0 || c.Cost != 0)
	set(hasLimits, len(c.Limits) > 0)
	set(hasFindings, len(c.Findings) > 0 || len(c.Reasons) > 0)
	set(hasBatch, c.BatchN > 0)
	set(hasDeltas, !c.Deltas.Zero())
	set(hasError, c.Error != "")
	set(hasRef, c.Ref != "")
	set(isCached, c.Cached)
	set(isRepeated, c.Repeated)
	set(isObserved, c.Observed)
	set(isTogether, c.Together)
	set(ownPayer, c.Payer == string(KeyAccount(c.Key)))
	return f
}

// parts writes what flags says is there.
func (w *writer) parts(c *Call, flags uint64) {
	if flags&hasTags != 0 {
		w.pairs(c.Tags)
	}
	if flags&hasDims != 0 {
		w.pairs(c.Dims)
	}
	if flags&hasGroup != 0 {
		w.word(c.Group)
		w.word(c.Plan)
		w.word(c.Tenant)
	}
	if flags&hasRun != 0 {
		w.word(c.Run)
	}
	if flags&hasUnits != 0 {
		w.int(int64(c.Units))
		w.int(int64(c.Cost))
	}
	if flags&hasLimits != 0 {
		w.limits(c.Limits, Account(c.Payer))
	}
	if flags&hasFindings != 0 {
		w.list(c.Findings)
		w.list(c.Reasons)
	}
	if flags&hasBatch != 0 {
		w.uint(uint64(c.BatchN))
		w.uint(uint64(c.BatchI))
	}
	if flags&hasDeltas != 0 {
		for _, n := range c.Deltas.Counters() {
			w.int(n)
		}
	}
	if flags&hasError != 0 {
		w.text(c.Error)
	}
	if flags&hasRef != 0 {
		w.text(c.Ref)
	}
}

func (w *writer) list(words []string) {
	w.uint(uint64(len(words)))
	for _, s := range words {
		w.word(s)
	}
}

func (w *writer) limits(limits []Limit, payer Account) {
	w.uint(uint64(len(limits)))
	for _, l := range limits {
		owner := string(l.Owner)
		if l.Owner == payer {
			owner = "" // the usual one
		}
		w.b = append(w.b, byte(l.Kind))
		w.word(owner)
		w.uint(uint64(l.Max))
		w.uint(uint64(l.Window / time.Millisecond))
	}
}

// call reads a call; one that stays is used beyond its block.
func (r *reader) call(first uint64, base int64, stays bool) *Call {
	var c *Call
	if stays {
		c = new(Call)
	} else {
		c = &r.slabs.calls.some(1)[0]
	}
	flags := r.Uint()
	c.ID = r.callID()
	if c.Key, c.Payer = r.ownPayer(); flags&ownPayer == 0 {
		c.Payer = r.word()
	}
	c.Tool = r.word()
	c.Server = r.word()
	c.Sheet = r.word()
	c.Class = r.word()
	c.IP = r.word()
	c.Outcome = pricing.Outcome(r.Byte())
	c.AdmitSeq = first + uint64(r.Int())
	c.SettleSeq = first + uint64(r.Int())
	c.At = TimeOf(r.Int() + base)
	c.Took = time.Duration(r.Uint()) * time.Microsecond
	c.Gate = time.Duration(r.Uint()) * time.Microsecond
	c.In = int64(r.Uint())
	c.Out = int64(r.Uint())
	for _, n := range [...]*pricing.Credits{&c.Quote, &c.Charged, &c.Shortfall, &c.Surcharge, &c.Would} {
		*n = pricing.Credits(r.Uint())
	}
	c.Together = flags&isTogether != 0
	c.Cached, c.Repeated, c.Observed = flags&isCached != 0, flags&isRepeated != 0, flags&isObserved != 0
	r.parts(c, flags)
	if stays {
		c.Limits = slices.Clone(c.Limits)
	}
	return c
}

func (r *reader) parts(c *Call, flags uint64) {
	if flags&hasTags != 0 {
		c.Tags = r.pairs()
	}
	if flags&hasDims != 0 {
		c.Dims = r.pairs()
	}
	if flags&hasGroup != 0 {
		c.Group, c.Plan, c.Tenant = r.word(), r.word(), r.word()
	}
	if flags&hasRun != 0 {
		c.Run = r.word()
	}
	if flags&hasUnits != 0 {
		c.Units, c.Cost = pricing.Credits(r.Int()), pricing.Credits(r.Int())
	}
	if flags&hasLimits != 0 {
		c.Limits = r.limits(Account(c.Payer))
	}
	if flags&hasFindings != 0 {
		c.Findings, c.Reasons = r.list(), r.list()
	}
	if flags&hasBatch != 0 {
		c.BatchN, c.BatchI = int(r.Uint()), int(r.Uint())
	}
	if flags&hasDeltas != 0 {
		var n [pricing.Slots]int64
		for i := range n {
			n[i] = r.Int()
		}
		c.Deltas = pricing.DeltasOf(n)
	}
	if flags&hasError != 0 {
		c.Error = r.Text()
	}
	if flags&hasRef != 0 {
		c.Ref = r.Text()
	}
}

func (r *reader) list() []string {
	n := r.Count()
	if n == 0 {
		return nil
	}
	out := make([]string, n)
	for i := range out {
		out[i] = r.word()
	}
	return out
}

func (r *reader) limits(payer Account) []Limit {
	out := r.slabs.limits.some(r.Count())
	for i := range out {
		kind := Kind(r.Byte())
		if kind >= Kinds {
			r.Fail("kind of limit")
			return nil
		}
		owner := Account(r.word())
		if owner == "" {
			owner = payer
		}
		out[i] = Limit{Kind: kind, Owner: owner, Max: int64(r.Uint()), Window: time.Duration(r.Uint()) * time.Millisecond}
	}
	return out
}

// event writes an act that is not a call.
func (w *writer) event(e *Event, base int64) {
	w.int(millis(e.At) - base)
	w.word(e.Type)
	w.word(e.Actor)
	w.word(e.Subject)
	w.uint(uint64(len(e.Posts)))
	for _, p := range e.Posts {
		w.text(p.ID)
		w.word(string(p.From))
		w.word(string(p.To))
		w.uint(uint64(p.Amount))
		w.word(p.Kind)
		w.text(p.Ref)
	}
	if h := e.Hold; h != nil {
		w.b = append(w.b, 1)
		w.text(h.ID)
		w.word(h.Key)
		w.uint(uint64(h.Credits))
		w.int(millis(h.Made))
		w.int(millis(h.Until))
		w.text(h.Memo)
	} else {
		w.b = append(w.b, 0)
	}
	w.bytes(e.Data)
	w.records(e.Records)
}

// records stand at the end, where older programs step over them.
func (w *writer) records(records []Record) {
	if len(records) == 0 {
		return
	}
	w.uint(uint64(len(records)))
	for _, r := range records {
		w.word(r.Table)
		w.text(r.ID)
		w.b = append(append(w.b, r.Was[:]...), r.Is[:]...)
	}
}

func (r *reader) records() []Record {
	if r.Left() == 0 {
		return nil
	}
	out := make([]Record, r.Count())
	for i := range out {
		out[i].Table, out[i].ID = r.word(), r.Text()
		const what = "digests of a record"
		copy(out[i].Was[:], r.Take(len(out[i].Was), what))
		copy(out[i].Is[:], r.Take(len(out[i].Is), what))
	}
	return out
}

func (r *reader) event(base int64) *Event {
	e := &Event{At: TimeOf(r.Int() + base), Type: r.word(), Actor: r.word(), Subject: r.word()}
	if n := r.Count(); n > 0 {
		e.Posts = make([]Entry, n)
		for i := range e.Posts {
			e.Posts[i] = Entry{ID: r.Text(), From: Account(r.word()), To: Account(r.word()), Amount: pricing.Credits(r.Uint()), Kind: r.word(), Ref: r.Text()}
		}
	}
	if r.Byte() == 1 {
		e.Hold = &Hold{ID: r.Text(), Key: r.word(), Credits: pricing.Credits(r.Uint()), Made: TimeOf(r.Int()), Until: TimeOf(r.Int()), Memo: r.Text()}
	}
	if data := r.Bytes(); len(data) > 0 {
		e.Data = json.RawMessage(slices.Clone(data))
	}
	e.Records = r.records()
	return e
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
