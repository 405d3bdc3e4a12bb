package sums

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/shadow/tally"
	"paygate/store/journal"
)

// Most is how many calls, the newest, sums are made over.
const Most = 1_000_000

// inChunk is how many calls are forgotten at a time when there are more.
const inChunk = 1 << 14

// mostGroups bounds what calls may differ in beside size and time: when each has
// a tag of its own, sums are over fewer calls.
const mostGroups = 1 << 16

// columns are the newest calls' facts, as close together as they go: 40 bytes a
// call, against several hundred as they are decoded. Calls with the same facts
// but for size and time share a group.
type columns struct {
	last   uint64 // acts of the journal up to here are in
	chunks []*chunk
	groups []group
	ids    map[groupKey]uint32
	payers map[string]uint32
}

// chunk is up to inChunk calls, in the order of the journal.
type chunk struct {
	at           []int64 // Unix ms
	group, payer []uint32
	in, out      []uint32 // bytes
	took, units  []uint32 // ms; as the server reported them
	again        []uint32 // ms after the answer that is given again
}

// group is the facts that calls share.
type group struct {
	call pricing.Call // Denied: what counts is what would be held for it
	none bool         // costs nothing at any price: refused for other reasons than credits and limits
}

type groupKey struct {
	tool, plan, group, class, tags, dims string
	outcome                              pricing.Outcome
	cached, repeated, none               bool
}

func newColumns(last uint64) *columns {
	return &columns{last: last - min(last, 2*Most), // a call is at most two acts
		ids: map[groupKey]uint32{}, payers: map[string]uint32{}}
}

// fill reads what has come since.
func (c *columns) fill(ctx context.Context, db journal.Source, pace *journal.Pace) error {
	err := journal.Blocks(ctx.Done(), db, c.last, func(raw []byte) (bool, error) {
		block, err := journal.Decode(raw)
		if err != nil {
			return false, err
		}
		for _, a := range block.Acts {
			if e := a.Event; e != nil && e.Seq > c.last && e.Call != nil && e.Call.Key != "" {
				c.add(e.Call)
			}
		}
		c.last = block.Last
		pace.Count(ctx.Done(), len(block.Acts))
		return true, nil
	})
	if err = errors.Join(err, ctx.Err()); err != nil {
		return fmt.Errorf("sums: %w", err)
	}
	return nil
}

func (c *columns) add(call *journal.Call) {
	if len(c.groups) >= mostGroups || len(c.payers) >= Most {
		last := c.last
		*c = *newColumns(0) // begin anew rather than grow without bound
		c.last = last
	}
	n := len(c.chunks)
	if n == 0 || len(c.chunks[n-1].at) == inChunk {
		c.chunks = append(c.chunks, &chunk{})
		if n++; n > Most/inChunk+1 {
			c.chunks = slices.Delete(c.chunks, 0, 1)
			n--
		}
	}
	k := c.chunks[n-1]
	k.at = append(k.at, call.At.UnixMilli())
	k.group, k.payer = append(k.group, c.groupOf(call)), append(k.payer, c.payerOf(call.Payer))
	k.in, k.out, k.took = append(k.in, small(call.In)), append(k.out, small(call.Out)), append(k.took, small(call.Took.Milliseconds()))
	k.units, k.again = append(k.units, small(int64(call.Units))), append(k.again, small(call.RepeatedAfter.Milliseconds()))
}

func small(n int64) uint32 { return uint32(min(max(0, n), math.MaxUint32)) }

func (c *columns) payerOf(payer string) uint32 {
	id, ok := c.payers[payer]
	if !ok {
		id = uint32(len(c.payers))
		c.payers[strings.Clone(payer)] = id
	}
	return id
}

func (c *columns) groupOf(call *journal.Call) uint32 {
	k := groupKey{call.Tool, call.Plan, call.Group, call.Class, flatten(call.Tags), flatten(call.Dims), call.Outcome, call.Cached, call.Repeated, false}
	if call.AdmitSeq == 0 {
		k.outcome, k.none = pricing.Denied, !call.Together && len(call.Findings) > len(call.Reasons)
	}
	id, ok := c.ids[k]
	if !ok {
		id = uint32(len(c.groups))
		c.ids[k] = id
		c.groups = append(c.groups, group{none: k.none, call: pricing.Call{Tool: k.tool, Plan: k.plan, Group: k.group, Class: k.class,
			Tags: call.Tags, Dims: call.Dims, Outcome: k.outcome, Cached: k.cached, Repeated: k.repeated}})
	}
	return id
}

func flatten(m map[string]string) string {
	if len(m) == 0 {
		return ""
	}
	parts := make([]string, 0, len(m))
	for k, v := range m {
		parts = append(parts, k+"\x00"+v)
	}
	slices.Sort(parts)
	return strings.Join(parts, "\x01")
}

// inside goes through the calls of a window; zero times do not bound it.
func (c *columns) inside(w tally.Window, fn func(n int, k *chunk, from, to int)) {
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	if !w.From.IsZero() {
		low = w.From.UnixMilli()
	}
	if !w.To.IsZero() {
		high = w.To.UnixMilli()
	}
	for n, k := range c.chunks {
		for i := 0; i < len(k.at); i++ { // calls come almost in order: few stretches
			if k.at[i] < low || k.at[i] >= high {
				continue
			}
			from := i
			for i < len(k.at) && k.at[i] >= low && k.at[i] < high {
				i++
			}
			fn(n, k, from, i)
		}
	}
}

// load puts one call's own facts beside those of its group.
func (k *chunk) load(i int, call *pricing.Call) {
	call.At, call.Took = time.UnixMilli(k.at[i]), time.Duration(k.took[i])*time.Millisecond
	call.In, call.Out, call.Units = int64(k.in[i]), int64(k.out[i]), pricing.Credits(k.units[i])
	call.RepeatedAfter = time.Duration(k.again[i]) * time.Millisecond
}
