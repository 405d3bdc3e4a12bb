// Package snapshot keeps what can be read as it was at one moment while it goes
// on being changed.
package snapshot

import (
	"iter"
	"maps"
)

// Map is a map of which one may take an image at little cost. It is not safe for
// concurrent use, but images are safe beside everything else.
type Map[V any] struct {
	base   map[string]V
	fresh  map[string]V // set since Freeze
	frozen bool
}

// New is a map with what another one has, which it then owns.
func New[V any](of map[string]V) *Map[V] {
	if of == nil {
		of = map[string]V{}
	}
	return &Map[V]{base: of}
}

// Get is a key's value.
func (m *Map[V]) Get(key string) (V, bool) {
	if v, ok := m.fresh[key]; ok {
		return v, true
	}
	v, ok := m.base[key]
	return v, ok
}

// Set changes a key's value.
func (m *Map[V]) Set(key string, v V) {
	if !m.frozen {
		m.base[key] = v
		return
	}
	if m.fresh == nil {
		m.fresh = map[string]V{}
	}
	m.fresh[key] = v
}

// All are the keys and values, in no order.
func (m *Map[V]) All() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for key, v := range m.base {
			if newer, ok := m.fresh[key]; ok {
				v = newer
			}
			if !yield(key, v) {
				return
			}
		}
		for key, v := range m.fresh {
			if _, ok := m.base[key]; !ok && !yield(key, v) {
				return
			}
		}
	}
}

// Clone is another map with the same content.
func (m *Map[V]) Clone() *Map[V] {
	all := maps.Clone(m.base)
	maps.Copy(all, m.fresh)
	return &Map[V]{base: all}
}

// Image is the map's content now, for reading. It stays as it is from Freeze to
// Thaw, or else until the map is next changed.
func (m *Map[V]) Image() map[string]V {
	if len(m.fresh) == 0 {
		return m.base
	}
	return m.Clone().base
}

// Freeze keeps an image that was taken now as it is until Thaw.
func (m *Map[V]) Freeze() { m.frozen = true }

// Thaw ends Freeze.
func (m *Map[V]) Thaw() {
	maps.Copy(m.base, m.fresh)
	m.fresh, m.frozen = nil, false
}
