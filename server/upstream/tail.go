package upstream

import (
	"bufio"
	"io"
	"strings"
	"sync"
	"time"
)

// Line is one line that a server wrote where no protocol message belongs.
type Line struct {
	At   time.Time
	Pid  int
	Text string // at most 4 KiB of it
	Out  bool   // written to standard output instead of standard error
}

const maxLine = 4 << 10

// tail keeps the last lines of a server, however much it writes.
type tail struct {
	now func() time.Time

	mu    sync.Mutex
	lines []Line // a ring once it is full
	next  int
	max   int
}

func newTail(lines int, now func() time.Time) *tail { return &tail{now: now, max: lines} }

func (t *tail) add(l Line) {
	l.At = t.now()
	l.Text = cut(strings.ToValidUTF8(l.Text, "\uFFFD"), maxLine)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) < t.max {
		t.lines = append(t.lines, l)
		return
	}
	t.lines[t.next] = l
	t.next = (t.next + 1) % t.max
}

// all returns the lines kept, oldest first.
func (t *tail) all() []Line {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append(append([]Line(nil), t.lines[t.next:]...), t.lines[:t.next]...)
}

// last returns the newest line of a process on standard error, or "".
func (t *tail) last(pid int) string {
	lines := t.all()
	for i := len(lines) - 1; i >= 0; i-- {
		if l := lines[i]; l.Pid == pid && !l.Out && strings.TrimSpace(l.Text) != "" {
			return strings.TrimSpace(l.Text)
		}
	}
	return ""
}

// drain keeps what r says until it ends.
func (t *tail) drain(r io.Reader, pid int) {
	br := bufio.NewReaderSize(r, maxLine)
	for {
		part, more, err := br.ReadLine()
		if err != nil {
			return
		}
		t.add(Line{Pid: pid, Text: string(part)})
		for more && err == nil { // the rest of a long line is not kept
			_, more, err = br.ReadLine()
		}
	}
}
