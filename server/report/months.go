package report

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"paygate/store"
)

// month is what a key did in a UTC month, as far as the calls of it are
// forgotten: monthly statements outlive the journal.
type month struct {
	ID      string `json:"id"` // such as "2026-03/key_…"
	Calls   int    `json:"calls"`
	Denied  int    `json:"denied"`
	Credits int64  `json:"credits"`
}

func months() store.Table[month] {
	return store.Table[month]{Name: "months", ID: func(m *month) string { return m.ID }}
}

// forgetting says how far a segment has gone into the months.
type forgetting struct {
	ID   string `json:"id"`
	Span []byte `json:"span"`
	Done int    `json:"done"`
}

func forgettings() store.Table[forgetting] {
	return store.Table[forgetting]{Name: "forgetting", ID: func(f *forgetting) string { return f.ID }}
}

// monthsAtOnce are how many months one transaction changes, so that calls go on.
const monthsAtOnce = 500

func monthOf(hour int64) string { return time.Unix(hour*3600, 0).UTC().Format("2006-01") }

// Forget deletes the segments of which the journal has forgotten events, those
// below a number. What they say of each month and key stays.
func (r *Rollup) Forget(ctx context.Context, before uint64) error {
	r.mu.Lock()
	n := 0
	for n < len(r.closed) && r.closed[n].First < before {
		n++
	}
	r.closed = slices.Clone(r.closed[n:])
	r.mu.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		var key []byte
		err := r.db.View(func(s *store.Snapshot) error {
			s.Ascend(bucketSegments, nil, func(k, _ []byte) bool {
				key = bytes.Clone(k)
				return false
			})
			return nil
		})
		if err != nil {
			return fmt.Errorf("roll-up: %w", err)
		}
		at, ok := spanOf(key)
		if !ok || at.First >= before {
			return nil
		}
		if err := r.forget(ctx, at); err != nil {
			return fmt.Errorf("roll-up: segment %d: %w", at.First, err)
		}
	}
}

// forget adds one segment to the months, some at a time, and deletes it. An
// interrupted one goes on where it was.
func (r *Rollup) forget(ctx context.Context, at Span) error {
	s, err := r.load(at)
	if err != nil || s == nil {
		return err
	}
	sums := map[string]*month{}
	for use, u := range s.Use {
		m := entry(sums, monthOf(use.Hour)+"/"+use.Key)
		m.Calls += u.Allowed
		m.Denied += u.Denied
		m.Credits += u.Credits
	}
	list := make([]*month, 0, len(sums))
	for id, m := range sums {
		m.ID = id
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b *month) int { return cmp.Compare(a.ID, b.ID) })
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := r.db.Update(func(tx *store.Tx) error {
			done := forgetting{ID: "one", Span: at.key()}
			switch was, err := forgettings().Get(tx, "one"); {
			case err == nil && bytes.Equal(was.Span, done.Span):
				done.Done = was.Done
			case err != nil && !errors.Is(err, store.ErrNotFound):
				return err
			}
			end := min(done.Done+monthsAtOnce, len(list))
			for _, m := range list[min(done.Done, end):end] {
				if err := addMonth(tx, m); err != nil {
					return err
				}
			}
			done.Done = end
			if more = end < len(list); more {
				return forgettings().Put(tx, &done)
			}
			return errors.Join(forgettings().Delete(tx, "one"), tx.Delete(bucketSegments, at.key()))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func addMonth(tx *store.Tx, m *month) error {
	was, err := months().Get(tx, m.ID)
	if errors.Is(err, store.ErrNotFound) {
		return months().Put(tx, m)
	}
	if err != nil {
		return err
	}
	was.Calls, was.Denied, was.Credits = was.Calls+m.Calls, was.Denied+m.Denied, was.Credits+m.Credits
	return months().Put(tx, was)
}

// monthUse is one month of a key's statement.
type monthUse struct {
	Month string `json:"month"` // such as 2026-03, UTC
	Use
}

// statement is what a key did in every month of its life.
func (p *Reports) statement(ctx context.Context, id string) ([]monthUse, error) {
	sums := map[string]*Use{}
	err := p.opts.Rollup.segments(ctx, window{}, func(s *segment) error {
		for at, u := range s.Use {
			if at.Key == id {
				entry(sums, monthOf(at.Hour)).add(u)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := p.opts.Rollup.forgotten(id, sums); err != nil {
		return nil, err
	}
	out := []monthUse{}
	for name, u := range sums {
		out = append(out, monthUse{name, *u})
	}
	slices.SortFunc(out, func(a, b monthUse) int { return cmp.Compare(a.Month, b.Month) })
	return out, nil
}

// forgotten adds what the months say of a key.
func (r *Rollup) forgotten(id string, sums map[string]*Use) error {
	return r.db.View(func(s *store.Snapshot) error {
		oldest, err := firstMonth(s)
		if err != nil || oldest == "" {
			return err
		}
		for at, _ := time.Parse("2006-01", oldest); at.Format("2006-01") <= r.latest(); at = at.AddDate(0, 1, 0) {
			m, err := months().Get(s, at.Format("2006-01")+"/"+id)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			u := entry(sums, at.Format("2006-01"))
			u.Calls, u.Denied, u.Credits = u.Calls+m.Calls, u.Denied+m.Denied, u.Credits+m.Credits
		}
		return nil
	})
}

// firstMonth is the oldest month that is kept; empty: none.
func firstMonth(s *store.Snapshot) (string, error) {
	for m, err := range months().All(s, "") {
		if err != nil {
			return "", err
		}
		return m.ID[:len("2006-01")], nil
	}
	return "", nil
}

// latest is the month of the newest event that is added up.
func (r *Rollup) latest() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.open.To
	if n := len(r.closed); t.IsZero() && n > 0 {
		t = r.closed[n-1].To
	}
	return t.UTC().Format("2006-01")
}
