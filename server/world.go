package server

import (
	"context"
	"reflect"
	"time"

	"paygate/pricing"
	"paygate/server/config"
	"paygate/server/gate"
	"paygate/server/keys"
	"paygate/server/mcp"
	"paygate/server/state"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// World is everything that a call is judged by, compiled from the
// configuration and the state. It never changes: a reload makes another one
// and swaps it in, and what has begun in the old one ends there.
type World struct {
	Config *config.Config
	Way    gate.Way
	prices *choice
	entry  []gate.Check // of methods that are not charged

	freeMethods []string
	maintenance string // message of the maintenance; empty: none
}

// methods that cost nothing and need no key, whatever is configured.
var alwaysFree = [...]string{"initialize", "ping", "server/discover"}

// Compile builds the world of now and swaps it in. On an error the old one
// goes on serving.
func (s *Server) Compile(ctx context.Context) error {
	s.compiling.Lock()
	defer s.compiling.Unlock()
	cfg := s.settings.Load()
	prices, err := s.chosen(ctx, cfg)
	if err != nil {
		return err
	}
	if err := s.followMode(ctx, cfg); err != nil {
		return err
	}
	w := &World{Config: cfg, prices: prices, freeMethods: append(alwaysFree[:], cfg.FreeMethods...), entry: s.entry()}
	w.Way = gate.Way{Checks: s.checks(cfg, prices), Run: gate.Fold(s.forward, s.wraps(cfg)...), Sheet: prices.live, Observe: s.book.Shadow()}
	w.Way.Choose = func(c *gate.Call) *pricing.Sheet {
		sheet := prices.of(c.Terms, c.At)
		if c.Run == "" {
			return sheet
		}
		return s.runs.sheet(c, sheet)
	}
	if w.maintenance, err = s.maintenance.Message(); err != nil {
		return err
	}
	s.world.Store(w)
	s.keys.PlansChanged()
	return nil
}

// followMode switches shadow mode when the configuration's word has changed.
func (s *Server) followMode(ctx context.Context, cfg *config.Config) error {
	if s.opts.AsLeft {
		return nil
	}
	news, err := state.NewsOfMode(ctx, s.book, cfg.ShadowMode)
	if err != nil || !news {
		return err
	}
	return s.book.SetMode(ctx, cfg.ShadowMode, "config")
}

// SetMode switches shadow mode for as long as the configuration does not say
// another thing than it says now.
func (s *Server) SetMode(ctx context.Context, shadow bool, actor string) error {
	if err := s.book.SetMode(ctx, shadow, actor); err != nil {
		return err
	}
	return s.Compile(ctx)
}

// Reload reads the configuration again and compiles it. It says what changed,
// and what was changed in vain because it is read only once.
func (s *Server) Reload(ctx context.Context, actor string) (changed, skipped []string, found []config.Diagnostic, err error) {
	all, found := s.opts.Load()
	if config.Failed(found) {
		return nil, nil, found, nil
	}
	was := s.settings.Load()
	changed = differences(*was, all.Config)
	skipped = differences(s.opts.Static, all.Static)
	s.settings.Store(&all.Config)
	if err := s.Compile(ctx); err != nil {
		s.settings.Store(was)
		return nil, nil, found, err
	}
	err = s.book.Apply(ctx, func(tx *ledger.Tx) error {
		return tx.Append(journal.Event{Type: "config.reloaded", Actor: actor, Data: data(map[string]any{"filePath": all.File, "changed": changed, "skipped": skipped})})
	})
	return changed, skipped, found, err
}

// differences names the fields in which two settings differ.
func differences[T any](a, b T) []string {
	out := []string{}
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range va.NumField() {
		if !reflect.DeepEqual(va.Field(i).Interface(), vb.Field(i).Interface()) {
			out = append(out, config.FieldName(va.Type().Field(i).Name))
		}
	}
	return out
}

// keyLimits is what the configuration sets for keys.
func (s *Server) keyLimits() keys.Limits {
	cfg := s.settings.Load()
	l := keys.Limits{PerMinute: cfg.GlobalRateLimit, PerTool: map[string]int{}, Quota: keys.Quota(cfg.GlobalQuota)}
	for name, t := range cfg.Tools {
		if t.RateLimit > 0 {
			l.PerTool[name] = t.RateLimit
		}
	}
	return l
}

// forward is the innermost handler: the server behind the gateway.
func (s *Server) forward(ctx context.Context, c *gate.Call) error {
	began := s.opts.Now()
	res, err := c.Send(ctx, c.Request)
	took := s.opts.Now().Sub(began)
	c.Upstream(took)
	step := gate.Step{Name: "upstream", Took: took, Mark: "ok"}
	if err == nil && (res.Error != nil || mcp.IsToolError(res.Result)) && s.servers.Lacks(ctx, c.Tool) {
		if c.Unknown = res.Error == nil; !c.Unknown {
			err = res.Error // there is no such tool: nothing ran, so nothing is charged
		}
	}
	if err != nil {
		step.Mark, step.Text = "fail", err.Error()
	} else {
		c.Result = res
		step.Count, step.Unit = int64(len(res.Result)), "bytes"
	}
	c.Note(step)
	return err
}

const drainTime = 30 * time.Second
