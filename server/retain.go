package server

import (
	"context"
	"time"

	"paygate/server/feature/retention"
	"paygate/shadow"
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
