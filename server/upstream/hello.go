package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"paygate/server/mcp"
)

// begin starts the main link, finding out the era if it is not known yet.
func (s *server) begin(ctx context.Context) (*main, error) {
	ctx, stop := context.WithTimeout(ctx, s.opt.Limits.Handshake)
	defer stop()
	s.mu.Lock()
	known := s.era
	s.mu.Unlock()
	m := &main{since: s.opt.Now(), answered: s.figures.count()}
	var err error
	if known == unknown {
		err = s.probe(ctx, m)
	} else {
		err = s.again(ctx, m, known == modern)
	}
	if err == nil && !m.modern {
		err = m.link.send(ctx, &mcp.Message{Method: "notifications/initialized"}, nil)
	}
	if err != nil {
		return nil, s.explain(err)
	}
	if m.modern {
		if v := newView(m.link, nil, nil); v != nil {
			v.greeted = true
			m.link.table().hub = newHub(v, s.meta())
		}
	}
	return m, nil
}

// again starts the main link of a server whose era is known from before.
func (s *server) again(ctx context.Context, m *main, modern bool) (err error) {
	m.modern = modern
	m.link, m.about, err = s.dial(ctx, modern, nil, true)
	var rpc *mcp.Error
	if errors.As(err, &rpc) { // it is not what it was
		s.mu.Lock()
		s.era = unknown
		s.mu.Unlock()
	}
	return err
}

// explain puts the server's name before an error that lacks it.
func (s *server) explain(err error) error {
	var rpc *mcp.Error
	if errors.As(err, &rpc) {
		return fmt.Errorf("%s: the server refused the handshake: %w", s.spec.label(), err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: the server did not say hello within %s", s.spec.label(), s.opt.Limits.Handshake)
	}
	return err
}

// connect makes a link of the era, with a child where there is one.
func (s *server) connect(modern, shared bool) (link, error) {
	if s.spec.URL != "" {
		return newHTTP(s, modern, shared), nil
	}
	c, err := s.takeSpare()
	if err != nil {
		return nil, err
	}
	return newStdio(c, s.opt, shared), nil
}

// dial makes a link and says hello on it.
func (s *server) dial(ctx context.Context, modern bool, init *mcp.Message, shared bool) (link, *mcp.Message, error) {
	l, err := s.connect(modern, shared)
	if err != nil {
		return nil, nil, err
	}
	about, err := s.hello(ctx, l, modern, init)
	if err != nil {
		l.close()
		return nil, nil, err
	}
	return l, about, nil
}

// hello sends the handshake of the era, the client's own where there is one.
func (s *server) hello(ctx context.Context, l link, modern bool, init *mcp.Message) (*mcp.Message, error) {
	v := newView(l, nil, nil)
	if v == nil {
		return nil, l.table().why()
	}
	v.greeted = true
	defer v.end()
	switch {
	case modern:
		init = &mcp.Message{Method: "server/discover", Params: s.discoverParams()}
	case init == nil:
		init = &mcp.Message{Method: "initialize", Params: s.initParams()}
	}
	res, err := v.Call(ctx, init, nil)
	if errors.Is(err, ErrEnded) {
		<-l.done() // it ended before it was asked; that it ended is on its way
		err = l.table().why()
	}
	if err != nil {
		return nil, err
	}
	if res.Error != nil {
		return nil, res.Error
	}
	if st, ok := l.(*stdio); ok {
		st.met.Store(true)
	}
	return res, nil
}

type info struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

func (s *server) initParams() json.RawMessage {
	return marshal(struct {
		Version string   `json:"protocolVersion"`
		Caps    struct{} `json:"capabilities"`
		Info    info     `json:"clientInfo"`
	}{Version: legacyRevision, Info: info{s.opt.Name, s.opt.Version}})
}

// ownMeta is the _meta of the gateway's own modern requests.
type ownMeta struct {
	Version string   `json:"io.modelcontextprotocol/protocolVersion"`
	Info    info     `json:"io.modelcontextprotocol/clientInfo"`
	Caps    struct{} `json:"io.modelcontextprotocol/clientCapabilities"`
}

func (s *server) meta() ownMeta {
	return ownMeta{Version: modernRevision, Info: info{s.opt.Name, s.opt.Version}}
}

func (s *server) discoverParams() json.RawMessage {
	return marshal(struct {
		Meta ownMeta `json:"_meta"`
	}{s.meta()})
}

// answer is how a handshake ended.
type answer struct {
	about *mcp.Message
	err   error
}

// probe finds out the era with server/discover, and leaves the main link in m.
// A process that was asked this is used no further by the old era: some end on
// it, some then serve the wrong one.
func (s *server) probe(ctx context.Context, m *main) error {
	l, err := s.connect(true, true)
	if err != nil {
		return err
	}
	asked := make(chan answer, 1)
	s.loops.Go(func() {
		about, err := s.hello(ctx, l, true, nil)
		asked <- answer{about, err}
	})
	if s.spec.URL != "" {
		return s.judge(ctx, m, l, <-asked)
	}
	s.refill() // an old server will need it next; it starts meanwhile
	silence := time.NewTimer(s.opt.Limits.Probe)
	defer silence.Stop()
	select {
	case a := <-asked:
		return s.judge(ctx, m, l, a)
	case <-silence.C:
	}
	return s.race(ctx, m, l, asked)
}

// judge decides by the answer to server/discover; a legacy server is then
// greeted in its own way.
func (s *server) judge(ctx context.Context, m *main, l link, a answer) error {
	isModern, err := verdict(a)
	if err != nil {
		l.close()
		return err
	}
	if isModern {
		m.link, m.about, m.modern = l, a.about, true
		return nil
	}
	s.loops.Go(l.close) // a stubborn one takes its grace
	m.link, m.about, err = s.dial(ctx, false, nil, true)
	return err
}

// race is for a server that says nothing to server/discover: it may be old, or
// only slow to start. A second process is asked the old way; the first good
// answer wins.
func (s *server) race(ctx context.Context, m *main, l link, asked chan answer) error {
	old, about, err := s.dial(ctx, false, nil, true)
	if err == nil {
		grace := time.NewTimer(300 * time.Millisecond)
		defer grace.Stop()
		select {
		case a := <-asked:
			if isModern, _ := verdict(a); isModern {
				s.loops.Go(old.close)
				m.link, m.about, m.modern = l, a.about, true
				return nil
			}
		case <-grace.C:
		}
		s.loops.Go(l.close)
		m.link, m.about = old, about
		return nil
	}
	a := <-asked
	if isModern, _ := verdict(a); isModern {
		m.link, m.about, m.modern = l, a.about, true
		return nil
	}
	l.close()
	return err
}

// verdict reads the answer to server/discover. An error means that it says
// nothing about the era.
func verdict(a answer) (isModern bool, err error) {
	var rpc *mcp.Error
	var status *statusError
	switch {
	case a.err == nil:
		return versions(a.about.Result, "supportedVersions"), nil
	case errors.As(a.err, &rpc):
		return rpc.Code == -32022 && versions(rpc.Data, "supported"), nil
	case errors.As(a.err, &status):
		if status.era() {
			return false, nil
		}
		return false, a.err
	case errors.Is(a.err, errExited):
		return false, nil // some old servers end on an unknown request
	default:
		return false, a.err
	}
}

// versions says whether the list at name has the modern revision.
func versions(obj json.RawMessage, name string) bool {
	var list []string
	raw := lookup(obj, name)
	return raw != nil && json.Unmarshal(raw, &list) == nil && slices.Contains(list, modernRevision)
}

// revision is what the server and the gateway agreed on.
func (m *main) revision() string {
	if m.modern {
		return modernRevision
	}
	return text(m.about.Result, "protocolVersion")
}
