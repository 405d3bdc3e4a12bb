package report

import (
	"encoding/binary"
	"encoding/json"
	"regexp"
	"slices"
	"sync"
	"time"

	"paygate/server/api"
	"paygate/server/gate"
)

// Inspector keeps the bodies and the way of the latest calls in memory, for
// admins to look at; the journal keeps neither. What looks like a secret is
// left out of what they see.
//
// Every call is kept and hardly one is looked at. So calls are written one
// after another into a few pages of bytes, which cost the garbage collector
// nothing, and are searched for when somebody asks.
type Inspector struct {
	mu    sync.Mutex
	pages [][]byte // oldest first; calls are written into the last
}

const (
	mostPages    = 32
	pageSize     = 256 << 10 // 8 MiB of calls in all
	mostBodyKept = 64 << 10  // of one body
)

func newInspector() *Inspector { return &Inspector{} }

// See keeps a finished call.
func (i *Inspector) See(c *gate.Call) {
	request := c.Args[:min(len(c.Args), mostBodyKept)]
	var response []byte
	if c.Result != nil {
		if response = c.Result.Result; c.Result.Error != nil {
			response = c.Result.Append(nil)
		}
		response = response[:min(len(response), mostBodyKept)]
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	page := i.room(len(c.ID) + len(request) + len(response) + sizeOf(c.Steps))
	at := len(page)
	page = append(page, 0, 0, 0, 0) // how long the rest is
	page = text(page, c.ID)
	page = text(page, request)
	page = text(page, response)
	for _, s := range c.Steps {
		page = text(page, s.Name)
		page = text(page, s.Mark)
		page = text(page, s.Text)
		page = text(page, s.Unit)
		page = binary.AppendVarint(page, s.Count)
		page = binary.AppendVarint(page, int64(s.Took))
	}
	binary.LittleEndian.PutUint32(page[at:], uint32(len(page)-at-4))
	i.pages[len(i.pages)-1] = page
}

// sizeOf is more than the steps and the lengths of an entry take.
func sizeOf(steps []gate.Step) int {
	n := 64
	for _, s := range steps {
		n += len(s.Name) + len(s.Mark) + len(s.Text) + len(s.Unit) + 6*binary.MaxVarintLen64
	}
	return n
}

// room gives the page to write n bytes to; the oldest page makes room for a
// new one. Behind mu.
func (i *Inspector) room(n int) []byte {
	last := len(i.pages) - 1
	if last >= 0 && cap(i.pages[last])-len(i.pages[last]) >= n {
		return i.pages[last]
	}
	var page []byte
	if len(i.pages) == mostPages {
		page = i.pages[0][:0]
		i.pages = append(i.pages[:0], i.pages[1:]...)
	}
	if cap(page) < n {
		page = make([]byte, 0, max(n, pageSize))
	}
	i.pages = append(i.pages, page)
	return page
}

func text[T string | []byte | json.RawMessage](page []byte, s T) []byte {
	return append(binary.AppendUvarint(page, uint64(len(s))), s...)
}

// inspected is a call that was found again.
type inspected struct {
	request, response string
	way               []gate.Step
}

// find searches for a call, newest pages first; of one that went several
// rounds, the last is kept.
func (i *Inspector) find(id string) (found inspected, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, page := range slices.Backward(i.pages) {
		for len(page) > 0 {
			end := 4 + int(binary.LittleEndian.Uint32(page))
			kept := keptCall(page[4:end])
			if string(kept.text()) == id {
				found, ok = kept.read(), true
			}
			page = page[end:]
		}
		if ok {
			return found, true
		}
	}
	return found, false
}

// keptCall is what is left to read of a call.
type keptCall []byte

func (e *keptCall) text() []byte {
	n, used := binary.Uvarint(*e)
	s := (*e)[used : used+int(n)]
	*e = (*e)[used+int(n):]
	return s
}

func (e *keptCall) number() int64 {
	n, used := binary.Varint(*e)
	*e = (*e)[used:]
	return n
}

func (e *keptCall) read() inspected {
	p := inspected{request: string(e.text()), response: string(e.text())}
	for len(*e) > 0 {
		p.way = append(p.way, gate.Step{Name: string(e.text()), Mark: string(e.text()), Text: string(e.text()), Unit: string(e.text()),
			Count: e.number(), Took: time.Duration(e.number())})
	}
	return p
}

// fill adds what is kept of a call to its detail.
func (i *Inspector) fill(id string, d *api.CallDetail) {
	kept, ok := i.find(id)
	if !ok {
		return
	}
	d.Kept = true
	d.Request, d.Response = redact(kept.request), redact(kept.response)
	for _, s := range kept.way {
		d.Way = append(d.Way, api.Step{Name: s.Name, TookMs: Millis(s.Took), Mark: s.Mark, Text: s.Says()})
	}
}

// redact hides the values of members that are named like secrets, and texts
// that look like keys.
func redact(text string) string {
	named := regexp.MustCompile(`(?i)("[^"]*(?:password|passwd|secret|token|api_?key|authorization|credential)[^"]*"\s*:\s*)"(?:[^"\\]|\\.)*"`)
	shaped := regexp.MustCompile(`\b(?:pg_[0-9a-f]{16,}|sk-[A-Za-z0-9_-]{16,}|ghp_[A-Za-z0-9]{20,}|ak_[0-9a-f]{16,}|admin_[0-9a-f]{16,}|AKIA[0-9A-Z]{16})`)
	return shaped.ReplaceAllString(named.ReplaceAllString(text, `$1"•••"`), "•••")
}
