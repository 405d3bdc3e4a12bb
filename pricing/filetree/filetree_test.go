package filetree_test

import (
	"fmt"
	"strings"
	"testing"

	"paygate/pricing/filetree"
)

// shown writes a tree with its places, one value a line.
func shown(n *filetree.Node, path string, b *strings.Builder) {
	fmt.Fprintf(b, "%s %s %q %d:%d\n", path, n.Kind, n.Text, n.Line, n.Column)
	for i, item := range n.Items {
		shown(item, fmt.Sprintf("%s[%d]", path, i), b)
	}
	for _, m := range n.Members {
		shown(m.Value, path+"."+m.Name, b)
	}
}

func TestJSONAndYAMLBecomeTheSameTree(t *testing.T) {
	t.Parallel()
	const want = `. an object "" 1:1
..port a number "80" 2:9
..names a list "" 3:10
..names[0] text "a" 3:11
..names[1] true or false "true" 3:16
..none nothing "" 4:9
`
	json := "{\n\"port\": 80,\n\"names\": [\"a\", true],\n\"none\": null}"
	yaml := "# a comment\nport:   80\nnames:   [a,   true]\nnone:   ~\n"
	for name, text := range map[string]string{"x.json": json, "x.yaml": yaml} {
		n, faults := filetree.Parse(name, []byte(text))
		if len(faults) > 0 {
			t.Fatalf("%s: %v", name, faults)
		}
		var b strings.Builder
		shown(n, ".", &b)
		got := b.String()
		if kinds(got) != kinds(want) { // the places are each file's own
			t.Errorf("%s is\n%s, want\n%s", name, got, want)
		}
		if name == "x.json" && got != want {
			t.Errorf("places of %s are\n%s, want\n%s", name, got, want)
		}
	}
}

func kinds(tree string) string {
	var b strings.Builder
	for line := range strings.Lines(tree) {
		b.WriteString(line[:strings.LastIndexByte(line, ' ')] + "\n")
	}
	return b.String()
}

func TestWhatCannotBeReadSaysWhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"{\n\"a\": }", "2:6"},
		{"{\"a\": 1} x", "1:10"},
		{"{\"a\": 1, \"a\": 2}", "1:10"},
		{"a: 1\na: 2\n", "2:1"},
		{"a: [1\nb: 2", ""},
		{"\t- x: [", ""},
		{strings.Repeat(`{"a":`, 50) + "1" + strings.Repeat("}", 50), ""},
		{"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]", ""},
	} {
		_, faults := filetree.Parse("", []byte(c.text))
		if len(faults) == 0 {
			t.Errorf("%.30q was read", c.text)
			continue
		}
		if at := fmt.Sprintf("%d:%d", faults[0].Line, faults[0].Column); c.want != "" && at != c.want {
			t.Errorf("%.30q: at %s (%s), want %s", c.text, at, faults[0].Message, c.want)
		}
	}
}

// FuzzParse holds that every text either becomes a tree with places or a fault
// with one, and that reading ends.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"a":[1,"x",null,true]}`, "a: 1\nb: [x, y]\n", "a: &x 1\nb: *x\n", "- - -", "? {a: b}\n: c", "\xff", "a: !!binary aGk=\n", `"\ud800"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, faults := filetree.Parse("", []byte(text))
		if n == nil && len(faults) == 0 {
			t.Fatal("neither a tree nor a fault")
		}
		for _, fault := range faults {
			if fault.Message == "" {
				t.Fatal("a fault without a message")
			}
		}
	})
}
