// Package filter is the language in which people ask for calls:
//
//	~t read* & ~deny        ~k acme-* ~cost>5 !~ok        ~would | ~ms>1s
//
// It owns the grammar, the matching and the messages for mistakes; the gateway
// and the dashboard use the same code, so a filter means the same in both.
//
//	expr = and { "|" and }      and = not { ["&"] not }      not = ["!"] term
//	term = "(" expr ")" | ~field value | ~number op value | ~flag | word
//
// Fields: ~k key, ~t tool, ~s server, ~r reason, ~p plan, ~tag, ~ip, ~id.
// Numbers: ~cost, ~ms, ~in, ~out with > >= < <= =. Times: ~last 10m,
// ~at 13:00..13:05. Flags: ~ok ~fail ~deny ~would ~cached. A value is a glob,
// a /regular expression/ or "quoted"; a bare word searches key, tool and
// reason. Globs and words do not mind upper and lower case.
package filter

import (
	"fmt"
	"time"

	"paygate/server/api"
)

// MaxLength is the most bytes that a filter may have.
const MaxLength = 2000

// Filter says which calls are wanted. The zero value wants all. It never
// changes and may be used by many at once.
type Filter struct {
	root node
	text string
}

// Error is a mistake in a filter.
type Error struct {
	At  int // byte where it begins
	Msg string
}

func (e *Error) Error() string { return e.Msg }

// node decides about one call at one time.
type node interface {
	match(c *api.CallRow, now time.Time) bool
}

// Parse reads a filter. An empty one wants all calls; a mistake is an *Error.
func Parse(text string) (*Filter, error) {
	if len(text) > MaxLength {
		return nil, &Error{MaxLength, fmt.Sprintf("a filter has at most %d bytes", MaxLength)}
	}
	p := &parser{text: text}
	p.space()
	if p.end() {
		return &Filter{text: text}, nil
	}
	root, err := p.or()
	if err != nil {
		return nil, err
	}
	if !p.end() {
		return nil, p.fault(p.at, "unexpected %q", p.rest())
	}
	return &Filter{root: root, text: text}, nil
}

// String is the filter as it was written.
func (f *Filter) String() string { return f.text }

// All says whether the filter wants every call.
func (f *Filter) All() bool { return f == nil || f.root == nil }

// Match says whether a call is wanted; now is what ~last counts back from.
func (f *Filter) Match(c *api.CallRow, now time.Time) bool {
	return f.All() || f.root.match(c, now)
}

type orNode []node

func (n orNode) match(c *api.CallRow, now time.Time) bool {
	for _, x := range n {
		if x.match(c, now) {
			return true
		}
	}
	return false
}

type andNode []node

func (n andNode) match(c *api.CallRow, now time.Time) bool {
	for _, x := range n {
		if !x.match(c, now) {
			return false
		}
	}
	return true
}

type notNode struct{ node }

func (n notNode) match(c *api.CallRow, now time.Time) bool { return !n.node.match(c, now) }

type callNode func(c *api.CallRow) bool

func (n callNode) match(c *api.CallRow, _ time.Time) bool { return n(c) }

// lastNode wants calls that are not older than this.
type lastNode time.Duration

func (n lastNode) match(c *api.CallRow, now time.Time) bool {
	return !c.At.Before(now.Add(-time.Duration(n)))
}

// atNode wants calls between two times of the day, both included, in the zone
// of the reader.
type atNode struct{ from, to time.Duration }

func (n atNode) match(c *api.CallRow, now time.Time) bool {
	t := c.At.In(now.Location())
	d := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute +
		time.Duration(t.Second())*time.Second
	if n.from <= n.to {
		return d >= n.from && d <= n.to
	}
	return d >= n.from || d <= n.to // over midnight
}
