package ledger

import (
	"context"
	"fmt"
)

// A ticket is a number with the epoch it was given in, because numbers that a
// failed commit has lost are given again.
const epochShift = 48

func (b *Book) ticket(seq uint64) uint64 { return uint64(b.epoch)<<epochShift | seq }

// Wait returns when everything up to a Settlement's Seq is on disk. The error
// wraps ErrUnavailable when it will not be: then nothing of it happened.
func (b *Book) Wait(ctx context.Context, seq uint64) error {
	waits, err := b.waitsFor(seq)
	if err != nil || waits == nil {
		return err
	}
	if given := ctx.Done(); given == nil { // as a call's end waits: it costs less than a choice
		<-waits.done
	} else {
		select {
		case <-waits.done:
		case <-given:
			return ctx.Err()
		}
	}
	if waits.err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, waits.err)
	}
	return nil
}

// waitsFor is the commit that a ticket's number is part of; nil when it is on
// disk.
func (b *Book) waitsFor(ticket uint64) (*batch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	epoch, seq := int(ticket>>epochShift), ticket&(1<<epochShift-1)
	switch {
	case ticket == never || epoch > b.epoch:
		return nil, ErrUnavailable
	case epoch < b.epoch && seq <= b.ends[epoch], epoch == b.epoch && seq <= b.disk:
		return nil, nil
	case epoch < b.epoch:
		return nil, ErrUnavailable
	case b.flight != nil && seq <= b.flight.last:
		return b.flight, nil
	}
	b.kick()
	return b.next, nil
}
