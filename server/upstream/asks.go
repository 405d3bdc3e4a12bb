package upstream

import (
	"slices"
	"time"

	"paygate/server/mcp"
)

// A server on stdio does not say which call it asks about. Where all calls that
// run in a process are one caller's, that caller is asked in any case, so a
// guess that is wrong shows the question beside another of its calls and harms
// nobody: the answer goes to the server's request, not to the call. But a call
// that ends takes its questions with it, so a guess waits until it is likely
// right.

// doubtful is how long a question waits for other calls to end before it is
// taken for one of those still running.
const doubtful = time.Second

// doubt is a question of which it is known only among whose calls it was asked.
type doubt struct {
	asked *mcp.Message
	among string // the caller; empty: whoever has calls here
}

// belongsToOne says that all conversations on the link are one caller's.
func (r *routes) belongsToOne() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.oneCaller = true
}

// onlyCaller is whose all running calls are; what the gateway asks for itself,
// such as the list of tools, is nobody's. The caller holds mu.
func (r *routes) onlyCaller() (among string, ok bool) {
	if r.oneCaller {
		return "", true
	}
	for _, c := range r.calls {
		switch {
		case c.method == listen, c.view.caller == "" && !c.hears:
		case c.view.caller == "" || among != "" && among != c.view.caller:
			return "", false
		default:
			among = c.view.caller
		}
	}
	return among, among != ""
}

// unasked are the running calls that wait for no answer of their client, the
// oldest first. The caller holds mu.
func (r *routes) unasked(among string) []*call {
	var list []*call
	for _, c := range r.calls {
		if c.hears && c.method != listen && !c.cancelled && (among == "" || among == c.view.caller) {
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
	among, ok := r.onlyCaller()
	if !ok || len(r.unasked(among)) == 0 {
		return false
	}
	r.doubt = append(r.doubt, doubt{m, among})
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
		first, alike := r.doubt[0], 0
		for _, d := range r.doubt {
			if d.among == first.among {
				alike++
			}
		}
		calls := r.unasked(first.among)
		if len(calls) > alike && !atOnce {
			return
		}
		r.doubt = r.doubt[1:]
		if len(calls) == 0 { // who asked has ended
			continue
		}
		r.last++
		r.asks[r.last] = ask{theirs: first.asked.ID, view: calls[0].view, call: calls[0], asked: first.asked, among: first.among}
		mine := *first.asked
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
		if a.asked != nil && !c.cancelled && len(r.unasked(a.among)) > 0 {
			r.doubt = append(r.doubt, doubt{a.asked, a.among})
		}
	}
	r.resolve(false)
}
