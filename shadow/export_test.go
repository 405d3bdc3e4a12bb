package shadow

import (
	"context"
	"time"
)

// ResumedAt is the last act of the checkpoint that the lab went on from, or has
// written last.
func (l *Lab) ResumedAt() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.saved
}

// KeepEvery keeps a state after so many acts.
func (l *Lab) KeepEvery(acts uint64) { l.stateEvery = acts }

// Kept are the last acts of the states that are kept.
func (l *Lab) Kept() (out []uint64, err error) {
	list, _, err := l.states()
	for _, h := range list {
		out = append(out, h.Last)
	}
	return out, err
}

// SaveNow writes a checkpoint and says how long the walk could not go on.
func (l *Lab) SaveNow() (time.Duration, error) {
	l.mu.Lock()
	l.saved = 0
	l.mu.Unlock()
	began := time.Now()
	if err := l.save(true); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

// During is called again and again while a checkpoint is written.
func (l *Lab) During(fn func()) { l.during = fn }

// Tell raises the alarm if it is due, as Run does.
func (l *Lab) Tell(ctx context.Context) error { return l.tell(ctx) }
