package journal_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"paygate/pricing"
	"paygate/store/journal"
)

var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// word draws text that is likely to come again.
func word(t *rapid.T, label string) string {
	return rapid.SampledFrom([]string{"", "a", "search", "fs:read_file", "key_0011", "ü\x00\xff"}).Draw(t, label)
}

func pairs(t *rapid.T, label string) map[string]string {
	m := rapid.MapOfN(rapid.SampledFrom([]string{"team", "env"}), rapid.SampledFrom([]string{"x", "y"}), 0, 2).Draw(t, label)
	if len(m) == 0 {
		return nil
	}
	return m
}

func amount(t *rapid.T, label string) pricing.Credits {
	return pricing.Credits(rapid.Int64Range(0, int64(pricing.MaxCredits)).Draw(t, label))
}

func list(t *rapid.T, label string) []string {
	l := rapid.SliceOfN(rapid.SampledFrom([]string{"rate_limited", "insufficient_credits"}), 0, 3).Draw(t, label)
	if len(l) == 0 {
		return nil
	}
	return l
}

func drawCall(t *rapid.T) *journal.Call {
	c := &journal.Call{Call: pricing.Call{
		ID: rapid.SampledFrom([]string{"req_0123456789abcdef", "mine", "req_0123456789ABCDEF"}).Draw(t, "id"), Key: word(t, "key"),
		Group: word(t, "group"), Plan: word(t, "plan"), Tenant: word(t, "tenant"), Tool: word(t, "tool"), Server: word(t, "server"), Run: word(t, "run"),
		Tags: pairs(t, "tags"), Dims: pairs(t, "dims"), Class: word(t, "class"), Units: amount(t, "units"), Cost: amount(t, "cost"),
		At: day.Add(time.Duration(rapid.IntRange(-1e6, 1e6).Draw(t, "at")) * time.Millisecond),
		In: rapid.Int64Range(0, 1<<40).Draw(t, "in"), Out: rapid.Int64Range(0, 1<<40).Draw(t, "out"),
		Took:    time.Duration(rapid.IntRange(0, 1e9).Draw(t, "took")) * time.Microsecond,
		Outcome: pricing.Outcome(rapid.IntRange(0, 4).Draw(t, "outcome")), Cached: rapid.Bool().Draw(t, "cached"), Repeated: rapid.Bool().Draw(t, "repeated"),
	}, Sheet: word(t, "sheet"), Quote: amount(t, "quote"), Charged: amount(t, "charged"), Shortfall: amount(t, "short"), Surcharge: amount(t, "sur"), Would: amount(t, "would"),
		Findings: list(t, "findings"), Reasons: list(t, "reasons"), Observed: rapid.Bool().Draw(t, "observed"), IP: word(t, "ip"),
		Gate: time.Duration(rapid.IntRange(0, 1e6).Draw(t, "gate")) * time.Microsecond, Error: word(t, "error"), Ref: word(t, "ref")}
	c.Payer = rapid.SampledFrom([]string{"key:" + c.Key, "tenant:t"}).Draw(t, "payer")
	if c.Repeated {
		c.RepeatedAfter = time.Duration(rapid.IntRange(0, 1e9).Draw(t, "repeated after")) * time.Millisecond
	}
	if c.BatchN = rapid.IntRange(0, 3).Draw(t, "n"); c.BatchN > 0 {
		c.BatchI = rapid.IntRange(0, c.BatchN-1).Draw(t, "i")
	}
	for range rapid.IntRange(0, 3).Draw(t, "limits") {
		c.Limits = append(c.Limits, journal.Limit{Owner: journal.Account(rapid.SampledFrom([]string{c.Payer, "team:1"}).Draw(t, "owner")),
			Kind: journal.Kind(rapid.IntRange(0, int(journal.Kinds)-1).Draw(t, "kind")), Max: rapid.Int64Range(0, 1<<50).Draw(t, "max"),
			Window: time.Duration(rapid.IntRange(0, 60000).Draw(t, "window")) * time.Millisecond})
	}
	var n [pricing.Slots]int64
	n[rapid.IntRange(0, pricing.Slots-1).Draw(t, "slot")] = rapid.Int64Range(-5, 1e9).Draw(t, "delta")
	c.Deltas = pricing.DeltasOf(n)
	return c
}

func drawEvent(t *rapid.T) *journal.Event {
	e := &journal.Event{At: day.Add(time.Duration(rapid.IntRange(-1e6, 1e6).Draw(t, "at")) * time.Millisecond),
		Type: rapid.SampledFrom([]string{"key.created", "boot"}).Draw(t, "type"), Actor: word(t, "actor"), Subject: word(t, "subject")}
	for range rapid.IntRange(0, 3).Draw(t, "posts") {
		e.Posts = append(e.Posts, journal.Entry{ID: word(t, "post"), From: journal.Bank, To: journal.Account(word(t, "to")), Amount: amount(t, "amount"), Kind: "topup", Ref: word(t, "ref")})
	}
	if rapid.Bool().Draw(t, "hold") {
		e.Hold = &journal.Hold{ID: word(t, "hold"), Key: word(t, "key"), Credits: amount(t, "credits"), Made: day, Until: day.Add(time.Hour), Memo: word(t, "memo")}
	}
	if rapid.Bool().Draw(t, "data") {
		e.Data = json.RawMessage(`{"a":1}`)
	}
	for range rapid.IntRange(0, 2).Draw(t, "records") {
		e.Records = append(e.Records, journal.Record{Table: word(t, "table"), ID: word(t, "id"), Was: [16]byte{1}, Is: [16]byte{2, 15: 3}})
	}
	return e
}

// drawBlock gives every number from first on an act: an event, a call with its
// admission in the same block, or one that is still open.
func drawBlock(t *rapid.T, first uint64) (events []*journal.Event, opens []*journal.Call, last uint64) {
	next := first
	for range rapid.IntRange(1, 6).Draw(t, "acts") {
		switch rapid.IntRange(0, 3).Draw(t, "act") {
		case 0:
			e := drawEvent(t)
			e.Seq = next
			events = append(events, e)
		case 1:
			c := drawCall(t)
			c.AdmitSeq, c.SettleSeq = next, next+1
			next++
			events = append(events, &journal.Event{Seq: next, Call: c})
		case 2:
			c := drawCall(t)
			c.AdmitSeq = next
			opens = append(opens, c)
		case 3: // admitted in an older block, or never
			c := drawCall(t)
			c.AdmitSeq = rapid.SampledFrom([]uint64{0, first - 1}).Draw(t, "admitted")
			c.SettleSeq = next
			events = append(events, &journal.Event{Seq: next, Call: c})
		}
		next++
	}
	return events, opens, next - 1
}

func TestABlockComesBackAsItWas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Uint64Range(1, 1<<40).Draw(t, "first")
		events, opens, last := drawBlock(t, first)
		prev := journal.Hash{1, 2, 3}
		b, err := journal.Decode(journal.Encode(prev, first, last, events, opens))
		if err != nil {
			t.Fatal(err)
		}
		if b.First != first || b.Last != last || b.Prev != prev {
			t.Fatalf("head: %d..%d %x", b.First, b.Last, b.Prev)
		}
		for _, e := range events {
			got := b.Acts[e.Seq-first].Event
			if e.Call != nil {
				if diff := cmp.Diff(e.Call, got.Call, cmp.AllowUnexported(pricing.Deltas{})); diff != "" {
					t.Fatal(diff)
				}
				if at := e.Call.AdmitSeq; at >= first && b.Acts[at-first].Admit == nil {
					t.Fatalf("the admission at %d is missing", at)
				}
				continue
			}
			if diff := cmp.Diff(e, got); diff != "" {
				t.Fatal(diff)
			}
		}
		for _, c := range opens {
			if diff := cmp.Diff(c, b.Acts[c.AdmitSeq-first].Admit, cmp.AllowUnexported(pricing.Deltas{})); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestANumberWithoutAnActIsDamage(t *testing.T) {
	t.Parallel()
	raw := journal.Encode(journal.Hash{}, 1, 3, []*journal.Event{{Seq: 1, Type: "boot"}, {Seq: 3, Type: "boot"}}, nil)
	if _, err := journal.Decode(raw); err == nil {
		t.Fatal("a gap went unseen")
	}
}

func sample() []byte {
	c := &journal.Call{Call: pricing.Call{ID: "req_0123456789abcdef", Key: "key_1", Payer: "key:key_1", Tool: "search", At: day, Took: time.Millisecond}, AdmitSeq: 7, SettleSeq: 8,
		Charged: 2, Limits: []journal.Limit{{Owner: "key:key_1", Max: 60, Window: time.Minute}}}
	return journal.Encode(journal.Hash{9}, 7, 9, []*journal.Event{{Seq: 8, Call: c}, {Seq: 9, At: day, Type: "key.topup", Posts: []journal.Entry{{From: journal.Bank, To: "key:key_1", Amount: 5}}}}, nil)
}

// A flipped bit either cannot be read or shows as another hash: nothing passes
// the chain.
func TestTheChainFindsEveryFlippedBit(t *testing.T) {
	t.Parallel()
	good := sample()
	for i := range good {
		for bit := range 8 {
			bad := append([]byte(nil), good...)
			bad[i] ^= 1 << bit
			if journal.HashOf(bad) == journal.HashOf(good) {
				t.Fatalf("byte %d bit %d has the same hash", i, bit)
			}
			_, _ = journal.Decode(bad) // must not panic
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(sample())
	f.Add([]byte{})
	f.Add([]byte{1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := journal.Decode(raw)
		if err != nil {
			return
		}
		if uint64(len(b.Acts)) != b.Last-b.First+1 {
			t.Fatalf("%d acts for %d..%d", len(b.Acts), b.First, b.Last)
		}
		for i, a := range b.Acts {
			if a.Event != nil && a.Event.Seq != b.First+uint64(i) {
				t.Fatalf("act %d has number %d", i, a.Event.Seq)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	var events []*journal.Event
	for i := range uint64(64) {
		events = append(events, &journal.Event{Seq: 2 + 2*i, Call: &journal.Call{Call: pricing.Call{ID: "req_0123456789abcdef", Key: fmt.Sprint("key_", i), Payer: fmt.Sprint("key:key_", i),
			Tool: "search", At: day, Outcome: pricing.OK}, AdmitSeq: 1 + 2*i, SettleSeq: 2 + 2*i, Charged: 1, Quote: 1}})
	}
	raw := journal.Encode(journal.Hash{}, 1, 128, events, nil)
	b.ReportMetric(float64(len(raw))/64, "bytes/call")
	for b.Loop() {
		if _, err := journal.Decode(raw); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/call")
}

func BenchmarkEncode(b *testing.B) {
	blk, err := journal.Decode(sample())
	if err != nil {
		b.Fatal(err)
	}
	e := blk.Acts[1].Event
	for b.Loop() {
		journal.Encode(journal.Hash{}, 7, 8, []*journal.Event{e}, nil)
	}
}
