package shadow

import (
	"context"
	"math"

	"gonum.org/v1/gonum/stat"
)

// Needed says how many keys it takes to see a change of bills.
type Needed struct {
	Name     string  `json:"name"`
	Effect   float64 `json:"effect"`        // change of the mean bill, as a share of it
	Credits  float64 `json:"effectCredits"` // the same in credits a key
	Power    float64 `json:"power"`
	Keys     int     `json:"keys"`         // that have called so far
	MeanBill float64 `json:"meanBill"`     // by the live prices
	Paired   *int    `json:"pairedKeys"`   // both prices on the same calls, as shadows do; null: the change is the same for every key
	PairedSD float64 `json:"pairedSd"`     // of the changes of bills
	AB       int     `json:"abKeysPerArm"` // other keys in each arm, as experiments on behaviour need
	ABSD     float64 `json:"abSd"`         // of the bills
	Enough   bool    `json:"enough"`       // there are as many keys as the paired comparison takes
}

// Needed tells how many keys it takes to see a change of the mean bill by a
// share of it, with 5 % false alarms.
func (l *Lab) Needed(ctx context.Context, name string, effect, power float64) (*Needed, error) {
	r, err := l.Report(ctx, name, Window{})
	if err != nil {
		return nil, err
	}
	keys := r.Exact.Keys
	if len(keys) < 2 {
		return nil, badInput("experiment %s has seen %d keys: it takes at least 2 to know how bills differ", name, len(keys))
	}
	bills, changes := make([]float64, len(keys)), make([]float64, len(keys))
	for i, k := range keys {
		bills[i], changes[i] = float64(k.Live), float64(k.Candidate-k.Live)
	}
	out := &Needed{Name: name, Effect: effect, Power: power, Keys: len(keys)}
	out.MeanBill, out.ABSD = stat.MeanStdDev(bills, nil)
	out.PairedSD = stat.StdDev(changes, nil)
	out.Credits = math.Abs(effect) * out.MeanBill
	if out.MeanBill == 0 {
		return nil, badInput("experiment %s: live prices have collected nothing, so there is no bill to change by a share", name)
	}
	out.AB, out.Enough = 2, true // enough when all bills are the same
	if out.ABSD > 0 {
		if out.AB, err = Power(out.Credits, math.Sqrt2*out.ABSD, power); err != nil {
			return nil, err
		}
	}
	if out.PairedSD > 0 {
		n, err := Power(out.Credits, out.PairedSD, power)
		if err != nil {
			return nil, err
		}
		out.Paired, out.Enough = &n, len(keys) >= n
	}
	return out, nil
}
