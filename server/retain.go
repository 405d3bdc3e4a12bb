package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"paygate/server/feature/retention"
	"paygate/shadow"
	"paygate/store"
)

// retention forgets what the configuration does not keep, but nothing that an
// experiment still lives through.
func (s *Server) retention() *retention.Retention {
	sessions := &sessionStore{s.book, s.keys.Masked}
	return retention.New(retention.Options{Book: s.book, Rollup: s.rollup, Now: s.opts.Now, Log: s.opts.Log, Needed: s.needed,
		Others: []func(context.Context) error{sessions.Purge, s.keys.ForgetAnswers},
		Settings: func() (int, int64) {
			c := s.settings.Load()
			return c.RetentionDays, c.RetentionBytes
		}})
}

// needed is when the oldest experiment began that has not ended.
func (s *Server) needed() (from time.Time, what string, err error) {
	all, err := s.lab.Experiments()
	if err != nil {
		return from, "", err
	}
	for _, e := range all {
		switch e.State {
		case shadow.Shadowing, shadow.IsReviewed, shadow.Scheduled, shadow.InCanary:
			if e.Started != nil && (from.IsZero() || e.Started.Before(from)) {
				from, what = *e.Started, "experiment "+e.Name
			}
		}
	}
	return from, what, nil
}

// leastToCompact is how large a file must be to be written anew at the start.
const leastToCompact = 256 << 20

// compactIfWorthIt gives the space of what was forgotten back to the disk when
// most of the file is free. It stands before the start, because nobody may use
// the file meanwhile; that it fails, for want of room, is no reason not to
// start.
func compactIfWorthIt(dir string, log *slog.Logger) {
	before, after, err := store.CompactIfMostlyFree(dir, leastToCompact)
	switch {
	case err != nil && !errors.Is(err, store.ErrLocked): // what else is wrong is said when it is opened
		log.Warn("the state file could not be written anew; most of it stays free", "error", err)
	case after > 0:
		log.Info("most of the state file was free; it was written anew", "bytes before", before, "now", after)
	}
}
