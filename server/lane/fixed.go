package lane

import "net/http"

// Fixed are headers that all answers of a handler have alike. The lane renders
// them once, and not for each answer.
type Fixed struct {
	headers []fixedHeader
	all     []byte // their lines, one after another
}

type fixedHeader struct {
	name  string
	value []string
	line  []byte
}

// Add adds a header; its name is in canonical form. Add all before the first
// Set.
func (f *Fixed) Add(name, value string) {
	line := appendField(nil, name, value)
	f.headers = append(f.headers, fixedHeader{name, []string{value}, line})
	f.all = append(f.all, line...)
}

// Set gives them to an answer. A header that the handler sets itself stands in
// place of the fixed one.
func (f *Fixed) Set(w http.ResponseWriter) {
	if ours, ok := w.(*response); ok {
		ours.fixed = f
		return
	}
	h := w.Header()
	for _, fixed := range f.headers { // in the form that net/http keeps: no work for each answer
		h[fixed.name] = fixed.value
	}
}

// append adds the lines of those that a header does not have itself.
func (f *Fixed) append(head []byte, own http.Header) []byte {
	for _, fixed := range f.headers {
		if own[fixed.name] != nil {
			return f.rest(head, own)
		}
	}
	return append(head, f.all...)
}

func (f *Fixed) rest(head []byte, own http.Header) []byte {
	for _, fixed := range f.headers {
		if own[fixed.name] == nil {
			head = append(head, fixed.line...)
		}
	}
	return head
}
