package sheetfile_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/pricing/sheetfile"
)

const whole = `
name: per-result-v3
currency: {credit_usd: "0.001"}
rounding: {per_call: up}
defaults: {per_call: 2, bill_on: success, cached: 10%, retry: free_within 5m}
rules:
  - match: {tool: "search*", dim.depth: deep}
    price: {per_call: 8, per_kb_out: 0.2, per_second: 0, min: 5, max: 60}
    tiers: {mode: graduated, per: key/month, steps: [{to: 1000, x: 1.0}, {to: 10000, x: 0.8}, {x: 0.6}]}
  - match: {tool: "*", result: tool_error}
    price: {per_call: 0}
plans:
  free: {grant: 500/month, expires: month_end, rollover: 0, rate: 30/min, spend_cap: 500/day}
  pro:  {grant: 20000/month, rollover: 5000, overdraft: 0, auto_topup: {below: 1000, add: 10000, max: 3/day}}
`

func TestAWholeSheetIsRead(t *testing.T) {
	t.Parallel()
	f, err := sheetfile.Parse([]byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	if f.Name != "per-result-v3" || len(f.Sheet.Hash()) != 64 || f.Sheet.Flat() {
		t.Fatalf("%+v", f)
	}
	back, err := pricing.ReadCanonical(f.Sheet.Canonical())
	if err != nil || back.Hash() != f.Sheet.Hash() {
		t.Fatal(err)
	}
	c := pricing.Call{Tool: "search_web", Dims: map[string]string{"depth": "deep"}, Outcome: pricing.OK, Class: "ok", Out: 10 * 1024, At: time.Unix(1e9, 0)}
	var u pricing.Usage
	if q := pricing.Quote(&c, f.Sheet, &u).Due; q != 60 {
		t.Errorf("quote %d, want the maximum, 60", q)
	}
	if ch, _ := pricing.Rate(&c, f.Sheet, &u); ch.Due != 10 || ch.Output != 2 {
		t.Errorf("charge %+v, want 10 of which 2 for the output", ch)
	}
	c.Dims, c.Cached = nil, true
	if ch, _ := pricing.Rate(&c, f.Sheet, &u); ch.Due != 1 {
		t.Errorf("a tenth of 2, rounded up, is 1, not %d", ch.Due)
	}
}

func TestTheSameInJSONAndTheConfigurationsPricesAreOneSheet(t *testing.T) {
	t.Parallel()
	want := pricing.FromTools(pricing.ToolPrice{PerCall: 2}, map[string]pricing.ToolPrice{"deep": {PerCall: 5, PerKBOut: 1}}, true).Hash()
	for _, text := range []string{
		"defaults: {per_call: 2, bill_on: success}\nrules:\n- match: {tool: deep}\n  price: {per_call: 5, per_kb_out: 1}\n",
		`{"defaults": {"per_call": 2.0, "bill_on": "success"}, "rules": [{"match": {"tool": "deep"}, "price": {"per_call": "5", "per_kb_out": 1}}]}`,
	} {
		f, err := sheetfile.Parse([]byte(text))
		if err != nil || f.Sheet.Hash() != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestEveryMistakeIsToldWithItsLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, want string }{
		{"defaults: {per_cal: 2}\nruls: []\n", "1:12: defaults.per_cal: there is no such field; did you mean \"per_call\"?\n2:1: ruls: there is no such field; did you mean \"rules\"?"},
		{"defaults: {per_call: -1, max: 2.5}", "1:22: defaults.per_call: must not be below zero\n1:31: defaults.max: must be a number of whole credits from 0 to 1000000000"},
		{"defaults:\n  per_call: 1\n  per_call: 2\n", "per_call"},
		{"{\"defaults\": {\"per_call\": 1,}}", "not valid JSON"},
		{"defaults: {bill_on: succes}", `did you mean "success"?`},
		{"defaults: {min: 5, max: 2}", "min 5 is more than max 2"},
		{"rules: [{match: {tool: x}}]", `a rule needs a "price"`},
		{"rules: [{price: {per_call: 1, tiers: {steps: [{to: 5, x: 1}, {to: 3, x: 1}, {x: 1}]}}}]", `"to" must be more than 5`},
		{"name: nothing", "there are no prices"},
		{"defaults: {per_call: 0.0000001}", "at most 6 places"},
	} {
		_, err := sheetfile.Parse([]byte(test.text))
		var invalid *sheetfile.Invalid
		if !errors.As(err, &invalid) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want %q", test.text, err, test.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"defaults":{"per_call":1}}`))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		file, err := sheetfile.Parse(raw)
		if (file == nil) == (err == nil) {
			t.Fatal("either a sheet or an error")
		}
		if err != nil {
			return
		}
		back, err := pricing.ReadCanonical(file.Sheet.Canonical())
		if err != nil || back.Hash() != file.Sheet.Hash() {
			t.Fatalf("%q does not read back: %v", raw, err)
		}
	})
}
