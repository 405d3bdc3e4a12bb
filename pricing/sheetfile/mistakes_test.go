package sheetfile_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"paygate/pricing/sheetfile"
)

// TestMistakes runs the script: sheets, and every finding about them.
func TestMistakes(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../testdata/price/mistakes.test")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(raw), "\n--- ")[1:] {
		name, rest, _ := strings.Cut(part, "\n")
		file, want, ok := strings.Cut(rest, "---\n")
		if !ok {
			t.Fatalf("%s has no end", name)
		}
		got := findings(file)
		if want = strings.TrimSpace(want); want == "" { // the library's words
			if len(got) == 0 || !strings.Contains(got[0], "not valid YAML") {
				t.Errorf("%s: %q", name, got)
			}
			continue
		}
		if text := strings.Join(got, "\n"); text != want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, text, want)
		}
	}
}

func findings(file string) []string {
	f, err := sheetfile.Parse([]byte(file))
	var found []sheetfile.Diagnostic
	var invalid *sheetfile.Invalid
	if errors.As(err, &invalid) {
		found = invalid.Found
	} else if f != nil {
		found = f.Warnings
	}
	var out []string
	for _, d := range found {
		out = append(out, d.String())
	}
	return out
}
