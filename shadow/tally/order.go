package tally

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/shadow/snapshot"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// Calls are counted when they end, but a run is calls in the order in which they
// were made: what comes first breaks it. So what a call is to its run waits until
// no earlier call of its key is under way. Nearly always none is.

// Queue is one key's calls that are under way, and those that wait for them.
type Queue struct {
	Open  []uint64 // by the numbers of their admissions, ascending
	Steps []Step   // ascending
}

// Step is a call as far as it concerns its run.
type Step struct {
	Seq    uint64 // of its decision
	At     time.Time
	Run    string // what its agent calls the run
	Denied [2]bool
	Paid   [2]pricing.Credits
}

// Begin notes a call that was admitted in reality and will end. key is as for
// Count.
func (t *Tally) Begin(c *journal.Call, key int32) {
	if c.Key == "" || !t.within(c.At) {
		return
	}
	q := t.queue(c.Key, key)
	q.Open = append(q.Open, c.AdmitSeq)
}

// Ended forgets the calls under way that are not any more, and were never
// counted: their process was killed.
func (t *Tally) Ended(still func(seq uint64) bool) {
	for key, q := range t.Queues {
		q.Open = slices.DeleteFunc(q.Open, func(seq uint64) bool { return !still(seq) })
		if len(q.Steps) > 0 {
			t.drain(q, t.own(t.Keys[key]))
		}
	}
}

func (t *Tally) queue(key string, id int32) *Queue {
	if id >= 0 && int(id) < len(t.queues) && t.queues[id] != nil {
		return t.queues[id]
	}
	q := t.Queues[key]
	if q == nil {
		q = &Queue{}
		t.Queues[strings.Clone(key)] = q
	}
	t.queues = place(t.queues, id, q)
	return q
}

// toRun counts a call in its run, or lets it wait.
func (t *Tally) toRun(k *Key, id int32, c *journal.Call, verdicts [2]*ledger.Verdict, got [2]pricing.Credits) {
	s := Step{Seq: cmp.Or(c.AdmitSeq, c.SettleSeq), At: c.At, Run: c.Run, Paid: got}
	for i, v := range verdicts {
		s.Denied[i] = !v.Admitted
	}
	q := t.queue(c.Key, id)
	if i, ok := slices.BinarySearch(q.Open, s.Seq); ok {
		q.Open = slices.Delete(q.Open, i, i+1)
	}
	if len(q.Open) == 0 && len(q.Steps) == 0 {
		t.run(k, &s)
		return
	}
	i, _ := slices.BinarySearchFunc(q.Steps, s.Seq, func(w Step, seq uint64) int { return cmp.Compare(w.Seq, seq) })
	s.Run = strings.Clone(s.Run)
	q.Steps = slices.Insert(q.Steps, i, s)
	t.drain(q, k)
}

// drain counts what waits for nobody any more.
func (t *Tally) drain(q *Queue, k *Key) {
	n := 0
	for n < len(q.Steps) && (len(q.Open) == 0 || q.Steps[n].Seq < q.Open[0]) {
		t.run(k, &q.Steps[n])
		n++
	}
	q.Steps = slices.Delete(q.Steps, 0, n)
}

// late counts what waits, in copies: runs that are over with it, named runs that
// it belongs to, and what is then the current run of each of its keys.
func (t *Tally) late() (*Tally, map[string]*Run) {
	out, current := &Tally{Over: t.Over.clone(), named: snapshot.New[Run](nil)}, map[string]*Run{}
	for key, q := range t.Queues {
		if len(q.Steps) == 0 {
			continue
		}
		k := Key{Key: key}
		if now := t.Keys[key].Current; now != nil {
			own := *now
			k.Current = &own
		}
		for i := range q.Steps {
			s := &q.Steps[i]
			id := runID(key, s.Run)
			if _, ok := out.named.Get(id); s.Run != "" && !ok {
				r, _ := t.named.Get(id)
				out.named.Set(id, r)
			}
			out.run(&k, s)
		}
		if k.Current != nil {
			current[key] = k.Current
		}
	}
	return out, current
}

// waiting are the queues in which there is something, as they are now.
func (t *Tally) waiting() map[string]*Queue {
	out := map[string]*Queue{}
	for key, q := range t.Queues {
		if len(q.Open)+len(q.Steps) > 0 {
			out[key] = &Queue{slices.Clone(q.Open), slices.Clone(q.Steps)}
		}
	}
	return out
}
