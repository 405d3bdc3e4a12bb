package ledger_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain makes the model test short unless more is asked for: each of its
// checks restarts and kills a book many times.
func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	if f := flag.Lookup("rapid.checks"); f != nil && !asked {
		if err := f.Value.Set("40"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
