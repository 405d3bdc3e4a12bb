package sheets

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/store"
)

// Rollout says who pays by another sheet than the live one, and which sheet
// comes next. There is one; it changes together with what is live.
type Rollout struct {
	ID     string  `json:"id"`
	Kept   []Kept  `json:"kept,omitempty"` // oldest promise first
	Canary *Canary `json:"canary,omitempty"`
	Next   *Next   `json:"next,omitempty"`
}

// Kept is a promise to the keys that were there at a promotion: they go on
// paying by the sheet of before.
type Kept struct {
	Sheet  string     `json:"sheet"`
	By     string     `json:"by"`              // the experiment whose promotion promised it
	Before time.Time  `json:"before"`          // to keys that were made by then
	Until  *time.Time `json:"until,omitempty"` // nil: until a promotion ends it
}

// Canary is a sheet that a share of the keys pays by, to see what happens.
type Canary struct {
	Name    string          `json:"name"`  // of the experiment
	Sheet   string          `json:"sheet"` // what they pay by
	Then    string          `json:"then"`  // what all keys pay by after it
	Live    string          `json:"live"`  // what was live when it began
	Percent float64         `json:"percent"`
	Salt    string          `json:"salt"`
	Since   time.Time       `json:"since"`
	Until   *time.Time      `json:"until,omitempty"`  // when all keys follow; nil: when somebody says so
	PerDay  pricing.Credits `json:"perDay,omitempty"` // most that a key is charged a UTC day meanwhile; 0: no bound
}

// Next is a promotion that has a time.
type Next struct {
	Name    string    `json:"name"` // of the experiment
	Sheet   string    `json:"sheet"`
	Live    string    `json:"live,omitempty"` // what was live when it was decided
	At      time.Time `json:"at"`
	Percent float64   `json:"percent,omitempty"` // of the keys, by Salt; 0: all of them
	Salt    string    `json:"salt,omitempty"`
	Keeps   bool      `json:"keeps,omitempty"` // keys that are there by then go on as before
}

// Payer is as much of a key as the choice of its sheet depends on.
type Payer struct {
	ID   string
	Made time.Time
}

// For is the hash of the sheet that a key pays by, or empty: the live one.
func (r *Rollout) For(p Payer, now time.Time) string {
	for i := range r.Kept {
		if k := &r.Kept[i]; k.holds(p, now) {
			return k.Sheet
		}
	}
	if c := r.Canary; c != nil && Share(c.Salt, p.ID) < c.Percent {
		return c.Sheet
	}
	return ""
}

func (k *Kept) holds(p Payer, now time.Time) bool {
	return !p.Made.After(k.Before) && (k.Until == nil || now.Before(*k.Until))
}

// Coming is what changes next, or nil: what is scheduled, or the end of a
// canary.
func (r *Rollout) Coming() *Next {
	if c := r.Canary; r.Next == nil && c != nil && c.Until != nil {
		return &Next{Name: c.Name, Sheet: c.Then, At: *c.Until}
	}
	return r.Next
}

// Concerns says whether a key will pay by what comes next when its time comes.
func (r *Rollout) Concerns(p Payer) bool {
	n := r.Coming()
	if n == nil || n.Keeps && !p.Made.After(n.At) || n.Percent > 0 && Share(n.Salt, p.ID) >= n.Percent {
		return false
	}
	for i := range r.Kept {
		if r.Kept[i].holds(p, n.At) {
			return false
		}
	}
	return true
}

// Hashes are the sheets that the rollout names.
func (r *Rollout) Hashes() []string {
	var out []string
	for _, k := range r.Kept {
		out = append(out, k.Sheet)
	}
	if r.Canary != nil {
		out = append(out, r.Canary.Sheet, r.Canary.Then)
	}
	if r.Next != nil {
		out = append(out, r.Next.Sheet)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Share places a key between 0 and 100 by a salted hash of its stable id, so
// that a canary of another salt has other keys and a wider one has the same and
// more.
func Share(salt, id string) float64 {
	sum := sha256.Sum256([]byte(salt + "\x00" + id))
	return float64(binary.BigEndian.Uint64(sum[:])) / math.MaxUint64 * 100
}

const theRollout = "rollout"

func rollouts() store.Table[Rollout] {
	return store.Table[Rollout]{Name: "rollout", Proved: true, ID: func(r *Rollout) string { return r.ID }}
}

// CurrentRollout is who pays by which sheet now; never nil without an error.
func CurrentRollout(r store.Reader) (*Rollout, error) {
	out, err := rollouts().Get(r, theRollout)
	if errors.Is(err, store.ErrNotFound) {
		return &Rollout{ID: theRollout}, nil
	}
	return out, err
}

// PutRollout replaces it. Promises that are over are left out.
func PutRollout(w store.Writer, r *Rollout, now time.Time) error {
	r.ID = theRollout
	r.Kept = slices.DeleteFunc(r.Kept, func(k Kept) bool { return k.Until != nil && !now.Before(*k.Until) })
	return rollouts().Put(w, r)
}

// With is the rollout with something that comes, to tell beforehand whom it
// concerns.
func (r *Rollout) With(next Next) *Rollout { return &Rollout{Kept: r.Kept, Next: &next} }
