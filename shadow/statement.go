package shadow

import (
	"context"
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"paygate/pricing"
	"paygate/shadow/tally"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// Line is one call of a counterfactual statement.
type Line struct {
	At        time.Time       `json:"at"`
	Call      string          `json:"call"`
	Tool      string          `json:"tool"`
	Outcome   string          `json:"outcome"` // in reality
	Live      pricing.Credits `json:"live"`
	Candidate pricing.Credits `json:"candidate"`
	LiveNo    []string        `json:"liveDenied,omitempty"`      // why live denies it
	No        []string        `json:"candidateDenied,omitempty"` // why the candidate denies it
	Imputed   bool            `json:"imputed,omitempty"`         // live refused it: Candidate is a guess
}

// MostLines is how many calls a statement has at most, the newest.
const MostLines = 1000

// Statement is what a key would have paid call by call, the newest MostLines
// of them.
func (l *Lab) Statement(ctx context.Context, name, key string) ([]Line, error) {
	e, err := l.Experiment(name)
	if err != nil {
		return nil, err
	}
	if err := l.o.Book.Flush(ctx); err != nil {
		return nil, err
	}
	out := []Line{}
	started := time.Time{}
	if e.Started != nil {
		started = *e.Started
	}
	j, err := l.nearest(started, Window{})
	if err != nil {
		return nil, err
	}
	j.began = func(t *tracked) {
		if t.Name != name {
			return
		}
		t.pair.Watch = func(c *journal.Call, live, cand *ledger.Verdict) {
			if c.Key != key {
				return
			}
			if len(out) == 2*MostLines {
				out = append(out[:0], out[MostLines:]...)
			}
			out = append(out, line(c, live, cand))
		}
	}
	if err := j.Go(ctx, math.MaxUint64, nil); err != nil {
		return nil, err
	}
	return out[max(0, len(out)-MostLines):], nil
}

func line(c *journal.Call, live, cand *ledger.Verdict) Line {
	n := Line{At: c.At, Call: c.ID, Tool: c.Tool, Outcome: c.Outcome.String(), Live: tally.Paid(live), Candidate: tally.Paid(cand), Imputed: cand.Imputed,
		LiveNo: why(c, live), No: why(c, cand)}
	if cand.Imputed {
		n.Candidate = cand.Paid
	}
	return n
}

// why is every reason why a side denies a call, in the contract's order: what
// other checks found comes before what credits and limits say.
func why(c *journal.Call, v *ledger.Verdict) []string {
	if v.Admitted {
		return nil
	}
	out := []string{}
	if c.AdmitSeq == 0 && !c.Together {
		out = slices.DeleteFunc(slices.Clone(c.Findings), func(reason string) bool { return slices.Contains(c.Reasons, reason) })
	}
	for _, r := range v.Reasons {
		out = append(out, r.Reason)
	}
	return out
}

// Power is how many keys are needed to see a mean change of effect credits a
// key, when changes of keys have the standard deviation sd: with 5 % false
// alarms, in the share power of cases.
func Power(effect, sd, power float64) (int, error) {
	if effect == 0 || sd <= 0 || power <= 0 || power >= 1 {
		return 0, badInput("an effect other than 0, a standard deviation above 0 and a power between 0 and 1 are needed")
	}
	z := distuv.UnitNormal.Quantile(1-.05/2) + distuv.UnitNormal.Quantile(power)
	n := math.Ceil(z * sd / effect * z * sd / effect)
	if n > math.MaxInt32 {
		return 0, badInput("the effect is too small for any number of keys")
	}
	return max(2, int(n)), nil
}
