package filter_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"paygate/server/api"
	"paygate/server/api/filter"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func call() *api.CallRow {
	return &api.CallRow{ID: "req_5f1c", At: noon.Add(-5 * time.Minute), KeyID: "key_01", Key: "acme-prod", Tool: "fs:read_file", Server: "fs", Plan: "pro", IP: "10.0.0.9",
		Tags: map[string]string{"env": "prod"}, Outcome: "denied", Reason: "rate_limited", Credits: 12, TookMs: 141, In: 2114, Out: 6880}
}

func TestWhatIsWanted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want bool
	}{
		{"", true}, {"  ", true},
		{"~deny", true}, {"~ok", false}, {"!~ok", true}, {"!!~ok", false}, {"~fail", false}, {"~would", false}, {"~cached", false},
		{"~t read*", true}, {"~t fs:read_file", true}, {"~t read_file", true}, {"~t read", false}, {"~t READ*", true}, {"~t ?ead_file", true}, {"~t *dir*", false},
		{"~k acme-*", true}, {"~k acme", false}, {"~k key_01", true}, {"~s fs", true}, {"~r rate_*", true}, {"~p pro", true}, {"~ip 10.*", true}, {"~id req_5f1c", true},
		{"~tag env", true}, {"~tag env=prod", true}, {"~tag env=test", false},
		{`~k "acme-prod"`, true}, {`~k "acme-*"`, false}, {`~k /^acme-(prod|ci)$/`, true}, {`~t /dir/`, false}, {`'acme-prod'`, true},
		{"acme", true}, {"READ", true}, {"limited", true}, {"nobody", false}, {"a*prod", true},
		{"~cost>5", true}, {"~cost>12", false}, {"~cost>=12", true}, {"~cost=12", true}, {"~cost < 13", true}, {"~cost<=11", false}, {"~in>2k", true}, {"~out>10k", false},
		{"~ms>100", true}, {"~ms>1s", false}, {"~ms<0.2s", true},
		{"~last 10m", true}, {"~last 1m", false}, {"~last 1d", true},
		{"~at 11:50..12:00", true}, {"~at 11:55", true}, {"~at 11:54", false}, {"~at 23:00..12:00", true}, {"~at 12:00..13:00", false}, {"~at 11:55:00..11:55:00", true},
		{"~t read* & ~deny", true}, {"~t read* ~ok", false}, {"~ok | ~deny", true}, {"~ok|~ms>100", true}, {"~k nobody | ~t read* & ~ok", false},
		{"(~ok | ~deny) & ~k acme-*", true}, {"!(~ok | ~deny)", false}, {"~t read* & !~ok", true}, {"!~ok&~deny", true},
	} {
		f, err := filter.Parse(tt.text)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if got := f.Match(call(), noon); got != tt.want {
			t.Errorf("%q matches: %v, want %v", tt.text, got, tt.want)
		}
	}
}

func TestFlagsMeanWhatTheyMark(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		row  api.CallRow
		want bool
	}{
		{"~fail", api.CallRow{Outcome: "lost"}, true},
		{"~fail", api.CallRow{Outcome: "failed"}, true},
		{"~would", api.CallRow{Outcome: "ok", Would: true, Reason: "insufficient_credits"}, true},
		{"~would", api.CallRow{Outcome: "ok", Would: true}, false},
		{"~cached", api.CallRow{Cached: true}, true},
	} {
		f, err := filter.Parse(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Match(&tt.row, noon); got != tt.want {
			t.Errorf("%s on %+v: %v", tt.text, tt.row, got)
		}
	}
}

func TestAMistakeSaysWhatAndWhere(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		at   int
		says string
	}{
		{"~t", 2, "a value after ~t is missing"},
		{"~t read & ~denied", 10, "did you mean ~deny"},
		{"~tool x", 0, "did you mean ~t"},
		{"~cost", 0, "~cost>5"},
		{"~cost>much", 6, `"much" is not a number`},
		{"~ms>long", 4, "is not a time"},
		{"~last soon", 6, "30s, 10m, 2h or 3d"},
		{"~at noon", 4, "13:00..13:05"},
		{"(~ok", 0, "is not closed"},
		{"~ok)", 3, "unexpected"},
		{")", 0, "has no ("},
		{"~ok |", 5, "missing"},
		{"| ~ok", 0, "stands between"},
		{`~k "acme`, 3, "this quote is not closed"},
		{"~k /(/", 3, "regular expression"},
		{"~b secret", 0, "not searched"},
		{"~", 0, "a name follows ~"},
		{strings.Repeat("(", 60) + "~ok", 50, "at most 50 deep"},
		{strings.Repeat("a", filter.MaxLength+1), filter.MaxLength, "at most 2000 bytes"},
	} {
		_, err := filter.Parse(tt.text)
		var e *filter.Error
		if !errors.As(err, &e) {
			t.Errorf("%.40q: %v", tt.text, err)
			continue
		}
		if e.At != tt.at || !strings.Contains(e.Msg, tt.says) {
			t.Errorf("%.40q: at %d %q, want at %d %q", tt.text, e.At, e.Msg, tt.at, tt.says)
		}
	}
	if _, err := filter.Parse(strings.Repeat("a", filter.MaxLength)); err != nil {
		t.Errorf("the longest filter: %v", err)
	}
}

func TestAGlobIsNeverSlow(t *testing.T) {
	t.Parallel()
	f, err := filter.Parse("~k " + strings.Repeat("*a", 900) + "b")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	f.Match(&api.CallRow{Key: strings.Repeat("a", 2000)}, noon)
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %s", took)
	}
}

// FuzzParse reads any text: it never panics, a mistake lies inside the text,
// and what was read matches without panicking.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"~t read* & ~deny", "~k acme-* ~cost>5 !~ok", "~would | ~ms>1s", "(a|b)&!c", `~tag "x y"`, "~at 13:00..13:05", "~k /[/", "~last 1d", "\xff~"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := filter.Parse(s)
		if err == nil {
			got.Match(call(), noon)
			return
		}
		var e *filter.Error
		if !errors.As(err, &e) || e.At < 0 || e.At > len(s) || e.Msg == "" {
			t.Errorf("%q: %#v", s, err)
		}
	})
}
