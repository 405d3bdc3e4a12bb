package shadow_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"paygate/shadow/form"
)

func TestTheFormsSayTheSame(t *testing.T) {
	t.Parallel()
	r := fives(t).report(t, "five")
	r.Exact.Tools[0].Tool = "<b>&"
	r.Exact.Keys[0].Name = "<script>alert(1)</script>|x"
	page, err := form.HTML(r)
	if err != nil {
		t.Fatal(err)
	}
	r.Exact.Keys[1].Name = "=1+1"
	if table, err := form.CSV(r); err != nil || !strings.Contains(string(table), "key_1,'=1+1,16,20,4,4,4,4,2026-") {
		t.Errorf("%s %v", table, err)
	}
	text := form.Markdown(r)
	for _, want := range []string{"100", "newlyDeniedAttempts", "effective payers", "-40"} {
		if !strings.Contains(string(page), want) || !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(string(page), "<script") || strings.Contains(string(page), "<b>") || strings.Contains(text, "<script") || strings.Contains(string(page), "http") {
		t.Error("the page has something of others in it")
	}
	if want := "The candidate would have collected 100 credits (exact) where live collects 80; 5 keys newly stopped, 20 attempts newly denied"; !strings.HasPrefix(form.Verdict(r), want) {
		t.Errorf("%s", form.Verdict(r))
	}
	plots := strings.Split(string(page), "<svg")[1:]
	for i, plot := range plots {
		plot, _, _ = strings.Cut("<svg"+plot, "</svg>")
		d := xml.NewDecoder(strings.NewReader(plot + "</svg>"))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("plot %d: %v", i, err)
			}
		}
	}
	if len(plots) < 7 {
		t.Errorf("only %d plots", len(plots))
	}
}

func TestAnEmptyReportIsOne(t *testing.T) {
	t.Parallel()
	r := newRig(t, flat(2))
	r.start(t, "none", "defaults: {per_call: 5}")
	rep := r.report(t, "none")
	if _, err := form.HTML(rep); err != nil || rep.Attempts != 0 || rep.Grade != "C" || rep.Projected.Refused == "" || form.Markdown(rep) == "" {
		t.Errorf("%v %+v", err, rep)
	}
}
