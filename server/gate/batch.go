package gate

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"paygate/store/ledger"
)

// DoAll takes several calls of one caller: every one is checked, one Reserve
// admits all or none, and then each runs and is settled alone. A refusal comes
// back with the index of the call that it is about; the others are recorded as
// batch_rejected.
func (g *Gate) DoAll(ctx context.Context, w *Way, calls []*Call) (failed int, err error) {
	for i, c := range calls {
		g.begin(w, c)
		c.BatchN, c.BatchI = len(calls), i
		g.check(w, c)
	}
	failed, err = g.reserveFresh(calls)
	if err == nil && failed >= 0 {
		err = g.refuseAll(calls, failed)
	}
	if err != nil {
		for _, c := range calls {
			c.over(err)
		}
		return failed, err
	}
	var wg sync.WaitGroup
	for _, c := range calls {
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer g.trace(c)
			if err := g.runOne(ctx, w, c); errors.Is(err, ledger.ErrUnavailable) {
				c.Result, c.Error = nil, "the gateway could not record this call; it was not charged"
			}
		}()
	}
	wg.Wait()
	return -1, nil
}

// runOne runs one admitted call of a batch, or gives it the answer that an
// earlier batch under the same name has got.
func (g *Gate) runOne(ctx context.Context, w *Way, c *Call) (err error) {
	if c.Again != nil {
		return g.repeat(ctx, c)
	}
	defer func() { c.over(err) }()
	return g.run(c.begun(ctx), w, c)
}

// reserveFresh reserves for the calls that repeat none.
func (g *Gate) reserveFresh(calls []*Call) (failed int, err error) {
	var fresh []*Call
	var at []int
	for i, c := range calls {
		if c.Again == nil {
			fresh, at = append(fresh, c), append(at, i)
		}
	}
	if len(fresh) == 0 {
		return -1, nil
	}
	if failed, err = g.reserveAll(fresh); failed >= 0 {
		failed = at[failed]
	}
	return failed, err
}

// reserveAll reserves for all calls at once, or says which one is refused; it
// only asks when a check has refused one already.
func (g *Gate) reserveAll(calls []*Call) (failed int, err error) {
	failed = -1
	all := make([]*ledger.Call, len(calls))
	for i, c := range calls {
		if failed < 0 && len(c.Denials) > 0 {
			failed = i
		}
		all[i] = &c.Call
	}
	if calls[0].Terms == nil {
		return failed, nil
	}
	ask := g.Book.Reserve
	if failed >= 0 || calls[0].Dry {
		ask = g.Book.Ask
	}
	err = ask(all...)
	var refused *ledger.Refused
	if !errors.As(err, &refused) {
		if err != nil {
			err = fmt.Errorf("batch of %d: %w", len(calls), err)
		}
		return failed, err
	}
	for i, reasons := range refused.Calls {
		for _, r := range reasons {
			calls[i].Denials = append(calls[i].Denials, fromBook(r))
		}
		if len(reasons) > 0 && (failed < 0 || i < failed) {
			failed = i
		}
	}
	return failed, nil
}

func (g *Gate) refuseAll(calls []*Call, failed int) error {
	for _, c := range calls {
		if len(c.Denials) == 0 {
			c.Denials = append(c.Denials, Denial{Check: "batch", Reason: "batch_rejected"})
		}
		g.refuse(c)
		g.trace(c)
	}
	return calls[failed].First()
}

// AskAll says what DoAll would answer now, and moves nothing; each call's
// Denials tell.
func (g *Gate) AskAll(w *Way, calls []*Call) error {
	for i, c := range calls {
		c.Dry = true
		g.begin(w, c)
		c.BatchN, c.BatchI = len(calls), i
		g.check(w, c)
	}
	_, err := g.reserveAll(calls)
	return err
}
