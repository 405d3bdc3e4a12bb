package upstream

import (
	"slices"
	"time"

	"paygate/server/mcp"
)

// A server on stdio does not say which call it asks about. Where all calls of a
// process are one caller's, that caller is asked in any case, so a guess that
// is wrong shows the question beside another of its calls and harms nobody: the
// answer goes to the server's request, not to the call. But a call that ends
// takes its questions with it, so a guess waits until it is likely right.

// doubtful is how long a question waits for other calls to end before it is
// taken for one of those still running.
const doubtful = time.Second

// belongsToOne says that all conversations on the link are one caller's.
func (r *routes) belongsToOne() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.oneCaller = true
}

// unasked are the running calls that wait for no answer of their client, the
// oldest first. The caller holds mu.
func (r *routes) unasked() []*call {
	var list []*call
	for _, c := range r.calls {
		if c.hears && c.method != listen && !c.cancelled {
			list = append(list, c)
		}
	}
	for _, a := range r.asks {
		list = slices.DeleteFunc(list, func(c *call) bool { return c == a.call })
	}
	slices.SortFunc(list, func(a, b *call) int { return int(a.id) - int(b.id) })
	return list
}

// queue has a question wait until it is clear enough whose it is. It says
// whether there is anybody it could be for. The caller holds mu.
func (r *routes) queue(m *mcp.Message) bool {
	if len(r.unasked()) == 0 {
		return false
	}
	r.doubt = append(r.doubt, m)
	r.resolve(false)
	if len(r.doubt) > 0 && r.later == nil {
		r.later = time.AfterFunc(doubtful, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.later = nil
			r.resolve(true)
		})
	}
	return true
}

// resolve hands out the questions that wait, when there are no more calls that
// could have asked than questions, or at once. The caller holds mu.
func (r *routes) resolve(atOnce bool) {
	for len(r.doubt) > 0 {
		calls := r.unasked()
		if len(calls) > len(r.doubt) && !atOnce {
			return
		}
		if len(calls) == 0 {
			r.doubt = nil // who asked has ended
			return
		}
		m := r.doubt[0]
		r.doubt = r.doubt[1:]
		r.last++
		r.asks[r.last] = ask{theirs: m.ID, view: calls[0].view, call: calls[0], asked: m}
		mine := *m
		mine.ID = appendID(r.last)
		calls[0].put(&mine)
	}
}

// leave takes back what a call was asked that has ended without its answer:
// another of the same caller's may have asked it. The caller holds mu.
func (r *routes) leave(c *call) {
	for id, a := range r.asks {
		if a.call != c {
			continue
		}
		delete(r.asks, id)
		if r.oneCaller && a.asked != nil && !c.cancelled && len(r.unasked()) > 0 {
			r.doubt = append(r.doubt, a.asked)
		}
	}
	r.resolve(false)
}
