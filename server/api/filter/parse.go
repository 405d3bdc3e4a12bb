package filter

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds brackets within brackets.
const maxDepth = 50

type parser struct {
	text  string
	at    int
	depth int
}

func (p *parser) fault(at int, format string, args ...any) *Error {
	return &Error{at, fmt.Sprintf(format, args...)}
}

func (p *parser) end() bool { return p.at >= len(p.text) }

func (p *parser) peek() byte {
	if p.end() {
		return 0
	}
	return p.text[p.at]
}

func (p *parser) space() {
	for !p.end() && (p.peek() == ' ' || p.peek() == '\t') {
		p.at++
	}
}

// rest is a short piece of what follows, for messages.
func (p *parser) rest() string {
	s := p.text[p.at:]
	for i := range s {
		if i > 12 {
			return s[:i] + "…"
		}
	}
	return s
}

func (p *parser) or() (node, error) {
	var all orNode
	for {
		n, err := p.and()
		if err != nil {
			return nil, err
		}
		all = append(all, n)
		if p.peek() != '|' {
			break
		}
		p.at++
		p.space()
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return all, nil
}

func (p *parser) and() (node, error) {
	var all andNode
	for {
		n, err := p.not()
		if err != nil {
			return nil, err
		}
		all = append(all, n)
		if p.peek() == '&' {
			p.at++
			p.space()
			continue
		}
		if p.end() || p.peek() == '|' || p.peek() == ')' {
			break
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return all, nil
}

func (p *parser) not() (node, error) {
	wanted := true
	for p.peek() == '!' {
		wanted = !wanted
		p.at++
		p.space()
	}
	n, err := p.term()
	if err != nil || wanted {
		return n, err
	}
	return notNode{n}, nil
}

func (p *parser) term() (node, error) {
	start := p.at
	switch p.peek() {
	case 0:
		return nil, p.fault(start, "something is missing here: a word, ~field value or ~flag")
	case '(':
		return p.brackets()
	case ')':
		return nil, p.fault(start, "this ) has no (")
	case '|', '&':
		return nil, p.fault(start, "%c stands between two conditions", p.peek())
	case '~':
		return p.tilde()
	}
	v, err := p.value("a word")
	if err != nil {
		return nil, err
	}
	m, err := v.matcher(anywhere)
	if err != nil {
		return nil, err
	}
	return callNode(wordMatch(m)), nil
}

func (p *parser) brackets() (node, error) {
	start := p.at
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		return nil, p.fault(start, "brackets go at most %d deep", maxDepth)
	}
	p.at++
	p.space()
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.peek() != ')' {
		return nil, p.fault(start, "this ( is not closed")
	}
	p.at++
	p.space()
	return n, nil
}

// tilde reads ~name and what belongs to it.
func (p *parser) tilde() (node, error) {
	start := p.at
	p.at++
	from := p.at
	for !p.end() && p.peek() >= 'a' && p.peek() <= 'z' {
		p.at++
	}
	name := p.text[from:p.at]
	if match := flag(name); match != nil {
		p.space()
		return callNode(match), nil
	}
	if get := number(name); get != nil {
		return p.compare(start, name, get)
	}
	if get := field(name); get != nil {
		p.space()
		v, err := p.value("a value after ~" + name)
		if err != nil {
			return nil, err
		}
		m, err := v.matcher(whole)
		if err != nil {
			return nil, err
		}
		return callNode(get(m)), nil
	}
	switch name {
	case "last":
		return p.last()
	case "at":
		return p.times()
	case "b":
		return nil, p.fault(start, "~b is not there: requests and answers are not searched")
	case "":
		return nil, p.fault(start, "a name follows ~, such as ~t, ~k, ~deny or ~cost>5")
	}
	return nil, p.fault(start, "there is no ~%s; did you mean ~%s?", name, nearest(name))
}

// value is a piece of text as it was written.
type value struct {
	p      *parser
	at     int
	text   string
	quoted bool
	regexp bool
}

func (p *parser) value(what string) (value, error) {
	v := value{p: p, at: p.at}
	switch c := p.peek(); {
	case c == '"' || c == '\'':
		v.quoted = true
		return p.delimited(v, c, "quote")
	case c == '/':
		v.regexp = true
		return p.delimited(v, c, "regular expression")
	}
	for !p.end() && !strings.ContainsRune(" \t|&()", rune(p.peek())) {
		_, size := utf8.DecodeRuneInString(p.text[p.at:])
		p.at += size
	}
	v.text = p.text[v.at:p.at]
	if v.text == "" || v.text[0] == '~' {
		return v, p.fault(v.at, "%s is missing here", what)
	}
	p.space()
	return v, nil
}

func (p *parser) delimited(v value, mark byte, what string) (value, error) {
	p.at++
	var b strings.Builder
	for !p.end() && p.peek() != mark {
		if p.peek() == '\\' && p.at+1 < len(p.text) && p.text[p.at+1] == mark {
			p.at++
		}
		b.WriteByte(p.peek())
		p.at++
	}
	if p.end() {
		return v, p.fault(v.at, "this %s is not closed", what)
	}
	p.at++
	p.space()
	v.text = b.String()
	return v, nil
}
