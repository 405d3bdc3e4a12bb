package upstream

import (
	"fmt"
	"net/url"
	"strings"
)

// Isolation says whether callers with a session get a conversation of their own.
type Isolation string

// The two isolations. Session is the default: who keeps a session gets a
// child, or over HTTP a session, of its own. Shared puts everybody on one.
const (
	IsolationSession Isolation = "session"
	IsolationShared  Isolation = "shared"
)

// Spec says how one MCP server is reached: by Command or by URL.
type Spec struct {
	Prefix    string            // empty only for a single server
	Command   string            // program to start; see ParseCommand
	Args      []string          //
	Env       map[string]string // added to what children inherit
	Dir       string            // working directory of the child; empty: the gateway's
	URL       string            // Streamable HTTP endpoint
	Headers   map[string]string // sent with every HTTP request
	Isolation Isolation         // empty: IsolationSession
}

// label names a spec in messages.
func (s *Spec) label() string {
	if s.Prefix != "" {
		return s.Prefix
	}
	return "MCP server"
}

func (s *Spec) validate() error {
	switch {
	case s.Command == "" && s.URL == "":
		return fmt.Errorf("%s: it has neither a command nor a URL; give one", s.label())
	case s.Command != "" && s.URL != "":
		return fmt.Errorf("%s: it has a command and a URL; give only one", s.label())
	case s.Isolation != "" && s.Isolation != IsolationSession && s.Isolation != IsolationShared:
		return fmt.Errorf("%s: isolation %q is unknown; use session or shared", s.label(), s.Isolation)
	}
	if s.URL == "" {
		return nil
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return fmt.Errorf("%s: the URL cannot be read: %w", s.label(), err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%s: the URL %q must begin with http:// or https:// and name a host", s.label(), u.Redacted())
	}
	return nil
}

// target is the command line or URL for people to read. Words that look like
// credentials are masked: these lines end up on screens and in bug reports.
func target(spec *Spec) string {
	if spec.URL != "" {
		u, err := url.Parse(spec.URL)
		if err != nil {
			return "•••"
		}
		if u.RawQuery != "" {
			u.RawQuery = "•••"
		}
		return u.Redacted()
	}
	words := []string{spec.Command}
	hide := false
	for _, arg := range spec.Args {
		name, _, assigned := strings.Cut(arg, "=")
		switch {
		case hide:
			arg, hide = "•••", false
		case secretive(name) && assigned:
			arg = name + "=•••"
		case secretive(name) && strings.HasPrefix(arg, "-"):
			hide = true
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}

func secretive(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"key", "token", "secret", "password", "passwd", "auth", "credential"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
