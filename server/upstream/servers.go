package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"paygate/server/mcp"
)

// Servers are all MCP servers behind the gateway. It is an mcp.Backend: one
// server without a prefix is passed straight through, several stand behind
// their prefixes as one.
type Servers struct {
	opt     Options
	nursery *nursery
	seats   *seats

	owners owners

	mu     sync.Mutex
	list   []*server // in the order of their specs
	closed bool
	bells  map[*bell]struct{} // who wants to know that servers came or went
}

// New starts the servers in the background and returns at once: a server that
// cannot start hurts no other. An error means that a Spec cannot be right.
func New(specs []Spec, opt Options) (*Servers, error) {
	s := &Servers{opt: opt.withDefaults(), bells: map[*bell]struct{}{}}
	if opt.Now == nil {
		return nil, errors.New("upstream: Options.Now must be set")
	}
	if err := check(specs, s.opt.Separator); err != nil {
		return nil, err
	}
	s.nursery = newNursery(&s.opt)
	s.seats = newSeats(s.opt.Limits)
	for _, spec := range specs {
		s.list = append(s.list, newServer(spec, s))
	}
	return s, nil
}

func check(specs []Spec, separator string) error {
	seen := map[string]bool{}
	for i := range specs {
		spec := &specs[i]
		if err := spec.validate(); err != nil {
			return err
		}
		if len(specs) > 1 && spec.Prefix == "" {
			return fmt.Errorf("server %d (%s): it needs a prefix, since there are several servers", i+1, target(spec))
		}
		if strings.Contains(spec.Prefix, separator) {
			return fmt.Errorf("%s: a prefix must not contain %q, which stands between prefix and name", spec.label(), separator)
		}
		if seen[spec.Prefix] {
			return fmt.Errorf("%s: two servers have this prefix; give each its own", spec.label())
		}
		seen[spec.Prefix] = true
	}
	return nil
}

// FindCommand says whether the program of a Spec can be found; if not, the
// error wraps ErrCommandNotFound and says what to do.
func FindCommand(spec Spec) error {
	if spec.Command == "" {
		return nil
	}
	return findCommand(&spec)
}

func (s *Servers) servers() []*server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

func (s *Servers) find(prefix string) (*server, error) {
	for _, srv := range s.servers() {
		if srv.spec.Prefix == prefix {
			return srv, nil
		}
	}
	return nil, fmt.Errorf("%q: %w", prefix, ErrUnknownServer)
}

// Settle waits until no server is starting any more, or ctx ends.
func (s *Servers) Settle(ctx context.Context) error {
	for _, srv := range s.servers() {
		for {
			srv.mu.Lock()
			state, changed := srv.state, srv.changed
			srv.mu.Unlock()
			if state != Starting {
				break
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return fmt.Errorf("%s: still starting: %w", srv.spec.label(), ctx.Err())
			}
		}
	}
	return nil
}

// Add starts one more server.
func (s *Servers) Add(spec Spec) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	specs := make([]Spec, 0, len(s.list)+1)
	for _, srv := range s.list {
		specs = append(specs, srv.spec)
	}
	if err := check(append(specs, spec), s.opt.Separator); err != nil {
		return err
	}
	s.list = append(s.list, newServer(spec, s))
	go s.ringAll() // not under mu: who is told may look at the list
	return nil
}

// Remove ends a server and all conversations with it.
func (s *Servers) Remove(prefix string) error {
	srv, err := s.find(prefix)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.list = slices.DeleteFunc(s.list, func(each *server) bool { return each == srv })
	s.mu.Unlock()
	srv.close()
	s.ringAll()
	return nil
}

// Restart ends a server's processes and conversations, starts it anew and
// finds out again which era it speaks. It also ends a drain.
func (s *Servers) Restart(prefix string) error {
	srv, err := s.find(prefix)
	if err != nil {
		return err
	}
	srv.restart()
	return nil
}

// Drain lets a server finish its calls and gives it no new ones. It returns
// when the last one has ended, or with an error when ctx ends first; the
// server drains until Restart either way.
func (s *Servers) Drain(ctx context.Context, prefix string) error {
	srv, err := s.find(prefix)
	if err != nil {
		return err
	}
	return srv.drain(ctx)
}

// Close ends all servers. When ctx ends first, their children are killed.
func (s *Servers) Close(ctx context.Context) error {
	s.mu.Lock()
	list := s.list
	already := s.closed
	s.closed, s.list = true, nil
	s.mu.Unlock()
	if already {
		return nil
	}
	over := make(chan struct{})
	go func() {
		var wg sync.WaitGroup
		for _, srv := range list {
			wg.Go(srv.close)
		}
		wg.Wait()
		s.nursery.close()
		close(over)
	}()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		s.nursery.kill()
		<-over
		return fmt.Errorf("servers killed before they had ended: %w", ctx.Err())
	}
}

// Tools asks a server for its tools, as they are, under the server's own names.
func (s *Servers) Tools(ctx context.Context, prefix string) ([]json.RawMessage, error) {
	srv, err := s.find(prefix)
	if err != nil {
		return nil, err
	}
	return srv.listTools(ctx)
}

// Stderr returns the latest lines that a server wrote to its standard error,
// oldest first.
func (s *Servers) Stderr(prefix string) ([]Line, error) {
	srv, err := s.find(prefix)
	if err != nil {
		return nil, err
	}
	return srv.tail.all(), nil
}

// Status is how one server is doing.
type Status struct {
	Prefix    string
	Target    string // command line or URL, what may be secret masked
	Transport string // "stdio" or "http"
	State     State
	Since     time.Time
	NextTry   time.Time // zero unless down
	Restarts  int
	LastError string
	Pids      []int
	Tools     int
	InFlight  int
	Sessions  int    // conversations open with it, pooled ones counted once a user
	Revision  string // of the protocol, as agreed on the main link
	P95       time.Duration
}

// Status says how each server is doing, in the order of the configuration.
func (s *Servers) Status() []Status {
	list := s.servers()
	all := make([]Status, len(list))
	for i, srv := range list {
		all[i] = srv.status()
	}
	return all
}

func (s *server) status() Status {
	pids := s.nursery.pids(s.tail)
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Prefix: s.spec.Prefix, Target: target(&s.spec), Transport: "stdio", State: s.state, Since: s.since, NextTry: s.nextTry,
		Restarts: s.restarts, Pids: pids, Tools: len(s.tools), InFlight: int(s.flying.Load()), Sessions: len(s.views), P95: s.figures.p95()}
	if s.spec.URL != "" {
		st.Transport = "http"
	}
	if s.lastErr != nil {
		st.LastError = Detail(s.lastErr)
	}
	if s.state == Ready && len(s.late) > 0 {
		for _, method := range slices.Sorted(maps.Keys(s.late))[:1] {
			st.State, st.LastError = Slow, s.late[method].why
		}
	}
	if s.main != nil {
		st.Revision = s.main.revision()
	}
	return st
}

// Open gives a conversation with the server, or with all of them as one; see
// mcp.Backend.
func (s *Servers) Open(ctx context.Context, d mcp.Dial) (*mcp.Opened, error) {
	if len(s.servers()) == 0 {
		return nil, &lostError{text: "no MCP server is configured", cause: ErrUnknownServer}
	}
	if srv := s.only(); srv != nil {
		return srv.Open(ctx, d)
	}
	return s.openMany(ctx, d)
}
