// Package bridge lets clients and servers of the two eras of the protocol use
// each other: the revisions up to 2025-11-25, which begin with initialize, keep
// a session and let servers ask, and the stateless 2026-07-28.
//
// A client of the new era before a server of the old one (newer.go): requests
// lose what only the new revision knows, answers gain what it wants, and what a
// server asks during a call becomes an input_required answer, whose next round
// carries the client's replies to the call that waits (parked.go).
//
// A client of the old era before a server of the new one (older.go): every
// request says of itself what initialize said once, the questions of an
// input_required answer become requests to the client on the stream of its
// call (rounds.go), and what a server announces comes by one subscription
// (changes.go).
//
// It is a Backend around another one, and its conversations are Conns over
// Conns. It does not decide which era a server speaks: that is package
// upstream.
package bridge

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/tidwall/gjson"

	"paygate/server/mcp"
)

// Options bound what calls that wait may cost. Zero values take the defaults in
// brackets.
type Options struct {
	Now           func() time.Time
	Name, Version string        // of the gateway, towards servers and clients
	Gather        time.Duration // how long to wait for a second question after the first (25 ms)
	Parked        int           // calls that wait for a client's replies; beyond, the oldest ends (1,000)
	Keep          time.Duration // how long a client may take to reply (10 min)
}

// Bridge keeps the calls that wait for a client's replies, for all backends
// that it adapts.
type Bridge struct {
	opts Options
	lot  *lot
}

// New makes a Bridge.
func New(o Options) *Bridge {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Gather == 0 {
		o.Gather = 25 * time.Millisecond
	}
	if o.Parked == 0 {
		o.Parked = 1000
	}
	if o.Keep == 0 {
		o.Keep = 10 * time.Minute
	}
	return &Bridge{opts: o, lot: &lot{opts: o, calls: map[string]*parked{}}}
}

// Adapt makes a backend speak the era that it is asked for, whatever its
// servers speak.
func (b *Bridge) Adapt(inner mcp.Backend) mcp.Backend { return &backend{b, inner} }

type backend struct {
	*Bridge
	inner mcp.Backend
}

// Open gives the conversation that is asked for, bridged where the server is
// of the other era.
func (b *backend) Open(ctx context.Context, d mcp.Dial) (*mcp.Opened, error) {
	o, err := b.inner.Open(ctx, d)
	switch {
	case err != nil || o.Modern == d.Modern:
		return o, err
	case d.Modern:
		return b.openNewer(b.inner, o, d), nil
	default:
		return b.openOlder(ctx, o, d), nil
	}
}

const metaPrefix = "io.modelcontextprotocol/"

func meta(m *mcp.Message, name string) gjson.Result {
	return gjson.GetBytes(m.Params, "_meta."+gjson.Escape(metaPrefix+name))
}

func quoted(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return text
}

func newID(prefix string) string { return prefix + rand.Text() }
