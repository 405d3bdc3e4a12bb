package tally

import (
	"encoding/gob"
	"fmt"
	"maps"
	"slices"
)

// Image is a tally as it was at one moment.
type Image struct {
	rest  Tally
	keys  []*Key
	named map[string]Run
}

// keysInPart are written in one piece.
const keysInPart = 1024

// Image is the tally as it is now. It stays so from Freeze to Thaw, or else
// until the next call is counted.
func (t *Tally) Image() *Image {
	i := &Image{rest: *t, keys: slices.Clone(t.list), named: t.named.Image()}
	r := &i.rest
	r.Keys = nil
	r.NewlyBy, r.DeniedBy = maps.Clone(t.NewlyBy), maps.Clone(t.DeniedBy)
	r.Over.Costs[0], r.Over.Costs[1] = maps.Clone(t.Over.Costs[0]), maps.Clone(t.Over.Costs[1])
	r.Queues = t.waiting()
	r.Leaks, r.Tools, r.Sheets = copies(t.Leaks), copies(t.Tools), copies(t.Sheets)
	return i
}

// copies are what pointers point at, as it is now. What a list has is never
// changed, only more is appended.
func copies[V any](m map[string]*V) map[string]*V {
	out := make(map[string]*V, len(m))
	for name, v := range m {
		own := *v
		out[name] = &own
	}
	return out
}

// Freeze keeps an image that was taken now as it is: from now on a key is copied
// before it counts on.
func (t *Tally) Freeze() {
	t.times++
	t.frozen = t.times
	t.named.Freeze()
}

// Thaw ends Freeze.
func (t *Tally) Thaw() {
	t.frozen = 0
	t.named.Thaw()
}

// own is a key that may be changed.
func (t *Tally) own(k *Key) *Key {
	if t.frozen == 0 || k.frozen == t.frozen {
		return k
	}
	n := *k
	n.Hours, n.Days, n.Tools = slices.Clone(k.Hours), slices.Clone(k.Days), slices.Clone(k.Tools)
	if k.Current != nil {
		run := *k.Current
		n.Current = &run
	}
	n.frozen = t.frozen
	t.Keys[n.Key], t.list[n.place] = &n, &n
	if n.number >= 0 {
		t.keys[n.number] = &n
	}
	return &n
}

// Encode writes the image. What is counted by key is most of it: it is written
// by hand, in a tenth of the time that reflection takes.
func (i *Image) Encode(to *gob.Encoder) error {
	parts := (len(i.keys) + keysInPart - 1) / keysInPart
	err := to.Encode(&i.rest)
	if err == nil {
		err = to.Encode(i.named)
	}
	if err == nil {
		err = to.Encode(parts)
	}
	for part := range slices.Chunk(i.keys, keysInPart) {
		if err == nil {
			err = to.Encode(saveKeys(part))
		}
	}
	if err != nil {
		return fmt.Errorf("tally: %w", err)
	}
	return nil
}

// Decode reads what Encode has written.
func Decode(from *gob.Decoder) (*Tally, error) {
	t, named, parts := new(Tally), map[string]Run{}, 0
	for _, v := range []any{t, &named, &parts} {
		if err := from.Decode(v); err != nil {
			return nil, fmt.Errorf("tally: %w", err)
		}
	}
	t.Keys = map[string]*Key{}
	for range parts {
		var raw []byte
		if err := from.Decode(&raw); err != nil {
			return nil, fmt.Errorf("tally: %w", err)
		}
		if err := loadKeys(raw, t.add); err != nil {
			return nil, err
		}
	}
	t.ready()
	for id, r := range named {
		t.named.Set(id, r)
	}
	return t, nil
}

// add takes a new key.
func (t *Tally) add(k *Key) {
	k.place, k.number, k.frozen = len(t.list), -1, t.frozen
	t.list = append(t.list, k)
	t.Keys[k.Key] = k
}
