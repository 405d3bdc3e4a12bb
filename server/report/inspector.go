package report

import (
	"regexp"
	"sync"

	"paygate/server/api"
	"paygate/server/gate"
)

// Inspector keeps the bodies and the way of the latest calls in memory, for
// admins to look at; the journal keeps neither. What looks like a secret is
// left out.
type Inspector struct {
	mu    sync.Mutex
	calls map[string]*inspected
	order []string // oldest first
	bytes int
}

type inspected struct {
	request, response string
	way               []gate.Step
}

const (
	mostInspected = 16 << 20 // bytes of all bodies
	mostBodyKept  = 64 << 10 // of one
)

func newInspector() *Inspector { return &Inspector{calls: map[string]*inspected{}} }

// See keeps a finished call.
func (i *Inspector) See(c *gate.Call) {
	kept := &inspected{way: c.Steps, request: string(c.Args[:min(len(c.Args), mostBodyKept)])}
	if c.Result != nil {
		body := c.Result.Result
		if c.Result.Error != nil {
			body = c.Result.Append(nil)
		}
		kept.response = string(body[:min(len(body), mostBodyKept)])
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if old := i.calls[c.ID]; old != nil {
		i.bytes -= old.size()
	} else {
		i.order = append(i.order, c.ID)
	}
	i.calls[c.ID] = kept
	i.bytes += kept.size()
	for i.bytes > mostInspected {
		oldest := i.order[0]
		i.order = i.order[1:]
		i.bytes -= i.calls[oldest].size()
		delete(i.calls, oldest)
	}
}

func (p *inspected) size() int { return len(p.request) + len(p.response) + 512 }

// fill adds what is kept of a call to its detail.
func (i *Inspector) fill(id string, d *api.CallDetail) {
	i.mu.Lock()
	kept := i.calls[id]
	i.mu.Unlock()
	if kept == nil {
		return
	}
	d.Kept = true
	d.Request, d.Response = redact(kept.request), redact(kept.response)
	for _, s := range kept.way {
		d.Way = append(d.Way, api.Step{Name: s.Name, TookMs: Millis(s.Took), Mark: s.Mark, Text: s.Text})
	}
}

// redact hides the values of members that are named like secrets, and texts
// that look like keys.
func redact(text string) string {
	named := regexp.MustCompile(`(?i)("[^"]*(?:password|passwd|secret|token|api_?key|authorization|credential)[^"]*"\s*:\s*)"(?:[^"\\]|\\.)*"`)
	shaped := regexp.MustCompile(`\b(?:pg_[0-9a-f]{16,}|sk-[A-Za-z0-9_-]{16,}|ghp_[A-Za-z0-9]{20,}|ak_[0-9a-f]{16,}|admin_[0-9a-f]{16,}|AKIA[0-9A-Z]{16})`)
	return shaped.ReplaceAllString(named.ReplaceAllString(text, `$1"•••"`), "•••")
}
