package keys

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store"
	"paygate/store/ledger"
)

// many is a directory of n keys, made in a few mutations.
func many(b *testing.B, n int) *Directory {
	b.Helper()
	db, err := store.Open(b.TempDir(), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	book, err := ledger.Open(db, ledger.Options{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = book.Close() })
	o := Options{Book: book, Now: time.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler), Limits: func() Limits { return Limits{} }}
	d, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	for from := 0; from < n; from += 2000 {
		err := book.Apply(context.Background(), func(tx *ledger.Tx) error {
			for i := from; i < min(from+2000, n); i++ {
				k := &Key{ID: fmt.Sprintf("key_%08x", i*2654435761%n), Name: fmt.Sprintf("agent %d of a team", i*7919%n), Namespace: "default", CreatedAt: tx.Now()}
				k.setSecret(fmt.Sprintf("pg_%048x", i))
				if err := d.record(tx, k, pricing.Credits(1+i*31%1000), api.Actor{ID: "bench"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil && !strings.Contains(err.Error(), "taken") {
			b.Fatal(err)
		}
	}
	if d, err = Open(o); err != nil {
		b.Fatal(err)
	}
	return d
}

// BenchmarkSortedPage is a page of 50 of 100,000 keys, which may take 100 ms.
func BenchmarkSortedPage(b *testing.B) {
	d := many(b, 100_000)
	for _, by := range []string{"name", "credits", "createdAt", "lastUsedAt", "totalCalls"} {
		b.Run(by, func(b *testing.B) {
			in := listIn{SortBy: by, Order: "asc"}
			in.Limit.SetText("50")
			for b.Loop() {
				if _, err := d.list(context.Background(), in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
