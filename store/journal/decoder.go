package journal

import "strings"

// Decoder reads block after block into memory that it uses again, and gives a
// word that is in many blocks as one string: for those who go through a long
// journal. The zero Decoder is ready. It is not safe for concurrent use.
type Decoder struct {
	words map[string]word
}

// word is a string of the dictionaries, and the account of the key that has it
// for its name.
type word struct{ text, payer string }

// What a Decoder remembers is bounded.
const (
	mostWords   = 1 << 17
	longestWord = 256
)

// Decode reads a block into the memory of b, which nobody needs any more: of
// its acts, only admissions of calls that end in a later block stay good.
func (d *Decoder) Decode(raw []byte, b *Block) error {
	if d.words == nil || len(d.words) > mostWords {
		d.words = map[string]word{}
	}
	if b.memory == nil {
		b.memory = &slabs{again: true}
	}
	b.memory.begin()
	return b.decode(&reader{slabs: b.memory, known: d}, raw)
}

// word gives the string with these bytes, and the account of the key of that
// name.
func (d *Decoder) word(raw []byte) word {
	if w, ok := d.words[string(raw)]; ok {
		return w
	}
	w := word{text: string(raw)}
	w.payer = string(KeyAccount(w.text))
	if len(raw) <= longestWord {
		d.words[w.text] = w
	}
	return w
}

// slabs give out calls, events and limits a few at a time, and every payer's
// name once in a block: a block is decoded with far fewer allocations. Who keeps
// one of them keeps its slab, so slabs are small, unless they are used again.
type slabs struct {
	again  bool // all is used again for the next block
	calls  slab[Call]
	events slab[Event]
	limits slab[Limit]
	words  []string
	payers []string // by word; empty: not asked for yet
	ids    strings.Builder
}

// begin takes back all that was given.
func (s *slabs) begin() {
	s.calls.begin()
	s.events.begin()
	s.limits.begin()
}

// dictionary is room for so many words.
func (s *slabs) dictionary(n int) []string {
	if cap(s.words) < n {
		s.words, s.payers = make([]string, n), make([]string, n)
	}
	s.words, s.payers = s.words[:n], s.payers[:n]
	clear(s.payers)
	return s.words
}

// id gives a call's id out of a text of several.
func (s *slabs) id(id []byte) string {
	if s.ids.Cap()-s.ids.Len() < len(id) {
		s.ids = strings.Builder{}
		s.ids.Grow(inSlab * len(id))
	}
	at := s.ids.Len()
	s.ids.Write(id)
	return s.ids.String()[at:]
}

const inSlab = 8

// slab gives out values that lie side by side.
type slab[T any] struct {
	list        []T
	used, given int // of list, and in all since begin
}

// begin takes all back and makes room for as many as were given.
func (s *slab[T]) begin() {
	if s.given > len(s.list) {
		s.list = make([]T, s.given)
	} else {
		clear(s.list[:s.used])
	}
	s.used, s.given = 0, 0
}

func (s *slab[T]) some(n int) []T {
	if len(s.list)-s.used < n {
		s.list, s.used = make([]T, max(n, inSlab)), 0
	}
	s.used, s.given = s.used+n, s.given+n
	return s.list[s.used-n : s.used : s.used]
}
