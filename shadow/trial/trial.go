// Package trial says what a real experiment shows: some keys, drawn by a hash,
// paid other prices than the rest. Only that can say how callers react to a
// price; reports are about the same calls at other prices. It reads the journal
// and changes nothing.
package trial

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/shadow/stats"
	"paygate/shadow/tally"
	"paygate/store/journal"
	"paygate/store/sheets"
)

// Trial is what a real experiment shows: some keys, drawn by a salted hash, paid
// the candidate's prices, the others went on as before. Only it can say how
// callers react. What each key did while the candidate was only shadowed is
// taken out of what it did since.
type Trial struct {
	Name       string          `json:"name"`
	Live       string          `json:"live"`    // hash
	Charged    string          `json:"charged"` // hash of what the treated keys paid by
	Seed       uint64          `json:"seed"`
	Stages     []Stage         `json:"stages"` // the newest is what the rest is about
	To         time.Time       `json:"to"`
	Ended      bool            `json:"ended"`
	Arms       [2]Arm          `json:"arms"` // live, candidate: keys that called
	RatioP     float64         `json:"sampleRatioP"`
	Broken     bool            `json:"sampleRatioBroken"` // stop: no difference between the arms means anything
	Crossed    int             `json:"crossed"`           // keys that paid by the other arm's prices, too
	Known      int             `json:"known"`             // keys with a past, which the effects are about
	Refused    string          `json:"refused,omitempty"`
	Attempts   *stats.Effect   `json:"attempts"`         // a key and day: how callers behave
	Spend      *stats.Effect   `json:"spend"`            // credits a key and day
	Prices     [2]float64      `json:"prices"`           // of an attempt, by the mix of before
	Elasticity *stats.Interval `json:"elasticity"`       // of attempts, along the arc between the prices
	Levels     *Levels         `json:"levels,omitempty"` // of attempts over all prices that were paid
	OffPolicy  string          `json:"offPolicyRefused"`
	Verdict    string          `json:"verdict"`
	Rows       []Row           `json:"rows"` // all of it in words
}

// Stage is one share of the keys.
type Stage struct {
	From    time.Time `json:"from"`
	Percent float64   `json:"percent"`
	Salt    string    `json:"salt"`

	Seq     uint64 `json:"-"`
	Charged string `json:"-"`
}

// Arm is one side.
type Arm struct {
	Keys     int             `json:"keys"`
	Expected float64         `json:"expected"` // keys, by the share
	Attempts int             `json:"attempts"`
	Denied   int             `json:"denied"`
	Charged  pricing.Credits `json:"charged"`
}

// fewestInArm is how many keys with a past each arm needs.
const fewestInArm = 10

// noOffPolicy is why nothing is said of prices that nobody has paid.
const noOffPolicy = "calls were made at posted prices only, never at one that was drawn by chance, so that there is nothing to weigh up (off-policy evaluation). To know, let some keys pay: paygate shadow promote NAME --canary 10%"

// Subject is an experiment whose prices are, or were, charged to a share of the
// keys.
type Subject struct {
	Name            string
	Live, Candidate string       // hashes
	From            time.Time    // its shadow's beginning
	Stages          []Stage      // at least one
	Ended           *time.Time   // nil: it goes on
	Past            *tally.Tally // of its shadow, which ended with the first stage
}

// Source is where a trial looks things up.
type Source struct {
	Journal *journal.Journal
	Sheet   func(hash string) (*pricing.Sheet, error)
}

// Of is all that can be said by the calls up to an act and a time.
func (src Source) Of(ctx context.Context, t *Subject, last uint64, to time.Time) (*Trial, error) {
	out, err := src.arms(ctx, t, last, to)
	switch {
	case err != nil:
	case out.Broken:
		out.Levels = &Levels{Prices: []Level{}, Refused: out.Refused}
	default:
		out.Levels, err = src.levels(ctx, t, last, to)
	}
	if err != nil {
		return nil, err
	}
	out.Rows = out.words()
	return out, nil
}

// arms compares them.
func (src Source) arms(ctx context.Context, t *Subject, last uint64, to time.Time) (*Trial, error) {
	stage := t.Stages[len(t.Stages)-1]
	out := &Trial{Name: t.Name, Live: t.Live, Charged: stage.Charged, Seed: stats.Seed, Stages: slices.Clone(t.Stages), To: to, Ended: t.Ended != nil, OffPolicy: noOffPolicy}
	if t.Ended != nil && t.Ended.Before(to) {
		out.To = *t.Ended
	}
	acts := map[string]*acted{}
	for seq := stage.Seq; seq < last; {
		events, err := src.Journal.Page(seq, 4096)
		if err != nil {
			return nil, fmt.Errorf("experiment %s: %w", t.Name, err)
		}
		for _, e := range events {
			if seq = e.Seq; seq > last {
				break
			}
			if c := e.Call; c != nil && c.Key != "" && !c.At.Before(stage.From) && c.At.Before(out.To) {
				out.see(c, t, stage, acts)
			}
		}
		if len(events) == 0 {
			break
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	out.ratio(acts, stage)
	out.effects(t, acts, stage)
	out.Verdict = out.verdict()
	return out, nil
}

// acted is what a key did in the experiment.
type acted struct {
	attempts int
	spent    pricing.Credits
	paid     [2]bool // by which arm's prices
}

func (out *Trial) see(c *journal.Call, t *Subject, stage Stage, acts map[string]*acted) {
	arm := 0
	switch c.Sheet {
	case stage.Charged:
		arm = 1
	case t.Live:
	default: // it keeps an older sheet
		return
	}
	a := acts[c.Key]
	if a == nil {
		a = &acted{}
		acts[c.Key] = a
	}
	a.attempts++
	a.spent += c.Charged + c.Would
	a.paid[arm] = true
	out.Arms[arm].Attempts++
	out.Arms[arm].Charged += c.Charged + c.Would
	if c.Outcome == pricing.Denied || len(c.Reasons) > 0 {
		out.Arms[arm].Denied++
	}
}

// ratio compares how many keys of each arm have called with the share.
func (out *Trial) ratio(acts map[string]*acted, stage Stage) {
	split := stats.Trial{Share: stage.Percent / 100}
	for _, a := range acts {
		switch {
		case a.paid[0] && a.paid[1]:
			out.Crossed++
		case a.paid[1]:
			out.Arms[1].Keys++
		default:
			out.Arms[0].Keys++
		}
		split.Units = append(split.Units, stats.Unit{Treated: a.paid[1]})
	}
	out.Arms[1].Expected = split.Share * float64(len(acts))
	out.Arms[0].Expected = float64(len(acts)) - out.Arms[1].Expected
	out.RatioP = split.RatioP()
	out.Broken = out.RatioP < stats.RatioBroken
}

// effects compares the arms as they were assigned, whatever became of them.
func (out *Trial) effects(t *Subject, acts map[string]*acted, stage Stage) {
	past := t.Past
	before, since := t.Stages[0].From.Sub(t.From).Hours()/24, out.To.Sub(stage.From).Hours()/24
	attempts, spend := stats.Trial{Share: stage.Percent / 100}, stats.Trial{Share: stage.Percent / 100}
	for _, id := range slices.Sorted(maps.Keys(past.Keys)) {
		k, a := past.Keys[id], acts[id]
		if a == nil {
			a = &acted{}
		}
		treated := sheets.Share(stage.Salt, id) < stage.Percent
		attempts.Units = append(attempts.Units, stats.Unit{Treated: treated, X: float64(k.Admitted+k.Denied) / before, Y: float64(a.attempts) / since})
		spend.Units = append(spend.Units, stats.Unit{Treated: treated, X: float64(k.Paid[0]) / before, Y: float64(a.spent) / since})
	}
	out.Known = len(attempts.Units)
	if past.Attempts > 0 {
		for i := range out.Prices {
			out.Prices[i] = float64(past.Sides[i].Potential) / float64(past.Attempts)
		}
	}
	control, treated := attempts.Sides()
	switch {
	case before <= 0 || since <= 0:
		out.Refused = "no time has gone by since some keys began to pay: ask again in a while"
	case out.Broken:
		out.Refused = fmt.Sprintf("the keys are not split as they should be (p = %.2g): %d and %d called where %.0f and %.0f are expected", out.RatioP, out.Arms[0].Keys, out.Arms[1].Keys, out.Arms[0].Expected, out.Arms[1].Expected)
	case control < fewestInArm || treated < fewestInArm:
		out.Refused = fmt.Sprintf("it takes %d keys on each side that called while the candidate was only shadowed; %d pay as before and %d by the candidate. Take the canary back, let the shadow see more keys and begin again with a larger share", fewestInArm, control, treated)
	default:
		planned := float64(out.Known)
		a, s := attempts.Effect(planned), spend.Effect(planned)
		out.Attempts, out.Spend = &a, &s
		out.Elasticity = attempts.Elasticity(out.Prices[0], out.Prices[1], stats.Seed)
	}
}

func (out *Trial) verdict() string {
	switch {
	case out.Broken:
		return "Stop: the keys are not split as they should be, so that no difference means anything."
	case out.Refused != "":
		return "Nothing can be said: " + out.Refused + "."
	}
	e := out.Attempts
	change := func(x float64) float64 { return 100 * x / math.Max(e.Control, math.SmallestNonzeroFloat64) }
	text := fmt.Sprintf("%+.1f %% a key, 95 %% between %+.1f %% and %+.1f %%", change(e.Absolute.Estimate), change(e.Absolute.Low), change(e.Absolute.High))
	switch {
	case e.Absolute.High < 0:
		return "Callers call less: " + text + "."
	case e.Absolute.Low > 0:
		return "Callers call more: " + text + "."
	}
	return "No difference can be seen yet: " + text + ". Wait, or let a larger share of the keys pay."
}
