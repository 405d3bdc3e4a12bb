package snapshot_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"paygate/shadow/snapshot"
)

// Whatever happens to a map, it says what a plain one says, and an image stays
// what it was.
func TestAMapIsAMapWhileAnImageIsRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m, want := snapshot.New[int](nil), map[string]int{}
		var image, was map[string]int
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				if image == nil {
					image, was = m.Image(), maps.Clone(want)
					m.Freeze()
				}
			case 1:
				m.Thaw()
				image = nil
			default:
				key, n := fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "key")), rapid.IntRange(1, 9).Draw(t, "value")
				m.Set(key, n)
				want[key] = n
			}
			if image != nil {
				if diff := cmp.Diff(was, image); diff != "" {
					t.Fatalf("an image changed: %s", diff)
				}
			}
			if diff := cmp.Diff(want, maps.Collect(m.All())) + cmp.Diff(want, m.Clone().Image()); diff != "" {
				t.Fatal(diff)
			}
			for key := range want {
				if n, ok := m.Get(key); !ok || n != want[key] {
					t.Fatalf("%s is %d", key, n)
				}
			}
		}
	})
}
