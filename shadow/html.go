package shadow

import (
	"bytes"
	"fmt"
	"html/template"
	"math"

	"paygate/pricing"
)

// HTML is the report as one file without anything from elsewhere: no script, no
// font, no image but the plots that are drawn in it.
func (r *Report) HTML() ([]byte, error) {
	var b bytes.Buffer
	if err := page.Execute(&b, r); err != nil {
		return nil, fmt.Errorf("report of %s: %w", r.Name, err)
	}
	return b.Bytes(), nil
}

var page = template.Must(template.New("report").Funcs(template.FuncMap{"percent": percent, "figure": figure, "maybe": maybe, "short": func(s string) string { return s[:min(12, len(s))] }}).Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Price experiment {{.Name}}</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h1,h2{line-height:1.2}table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .7rem;border-bottom:1px solid #d8dee4;text-align:right}
td:first-child,th:first-child{text-align:left}.bad{color:#a40e26;font-weight:600}.ok{color:#116329}svg{display:block;margin:1rem 0;max-width:100%}
.verdict{font-size:1.1rem;border-left:4px solid #0969da;padding-left:1rem}small,text{fill:#57606a;color:#57606a}
</style>
<h1>Price experiment {{.Name}}</h1>{{if .Demo}}<p><strong>Demo: the calls are made up.</strong></p>{{end}}<p class="verdict">{{.Verdict}}</p>
<p><small>live {{short .Live}} · candidate {{short .Candidate}} · {{.From.Format "2006-01-02 15:04"}} – {{.To.Format "2006-01-02 15:04"}} UTC · grade {{.Grade}} · coverage {{percent .Coverage}} of {{.Attempts}} attempts · self-difference {{.SelfDifference}} · seed {{.Seed}} · log digest {{short .LogDigest}}, act {{.LastSeq}}</small></p>
<h2>From live to the candidate</h2>{{.Waterfall}}
<table><tr><th><th>potential<th>collectable<th>admitted<th>denied
{{with .Exact.Live}}<tr><td>live<td>{{.Potential}}<td>{{.Collectable}}<td>{{.Admitted}}<td>{{.Denied}}{{end}}
{{with .Exact.Candidate}}<tr><td>candidate<td>{{.Potential}}<td>{{.Collectable}}<td>{{.Admitted}}<td>{{.Denied}}{{end}}</table>
<h2>Winners and losers</h2>{{.Strip}}
<table><tr><th>key<th>live<th>candidate<th>newly denied<th>first denied<th>tool
{{range .Exact.Keys}}<tr><td>{{or .Name .ID}}<td>{{.Live}}<td>{{.Candidate}}<td>{{.NewlyDenied}}<td>{{with .FirstDeniedAt}}{{.Format "2006-01-02 15:04:05"}}{{end}}<td>{{.Tool}}
{{end}}</table>
<h2>Keys not stopped, over time</h2>{{.SurvivalPlot}}
<h2>If callers react</h2>{{.Fan}}<p>{{if .Projected.Lift}}{{with .Projected.Lift}}Lift {{percent .Estimate}}, 95 % [{{percent .Low}}, {{percent .High}}].{{end}}{{else}}No interval: {{.Projected.Refused}}.{{end}}
{{with .Projected.LeaveOneOut}}Without any one key: {{percent .Low}} to {{percent .High}}.{{end}}</p>
<h2>Tools</h2><table><tr><th>tool<th>calls<th>live<th>candidate<th>per success<th>margin
{{range .Exact.Tools}}<tr><td>{{.Tool}}<td>{{.Calls}}<td>{{.Live}}<td>{{.Candidate}}<td>{{maybe .PricePerSuccess "%.2f"}}<td>{{.Margin}}
{{end}}</table>
<h2>Guardrails</h2><table><tr><th><th>value<th>limit<th><th>blocks
{{range .Guardrails}}<tr><td>{{.Name}}<td>{{figure .Value}}<td>{{figure .Limit}}<td>{{if .Pass}}<span class="ok">passes</span>{{else}}<span class="bad">fails</span>{{end}}<td>{{.Blocks}}
{{end}}</table>
<h2>What this cannot know</h2><ul>{{range .Limits}}<li>{{.}}{{end}}</ul></html>
`))

const (
	plotWidth  = 720
	plotHeight = 200
)

// svg collects a plot. Only numbers and fixed words go into it.
type svg struct{ bytes.Buffer }

func newPlot(label string) *svg {
	s := &svg{}
	fmt.Fprintf(s, `<svg role="img" aria-label="%s" viewBox="0 0 %d %d" width="%d" height="%d" font-size="12">`, label, plotWidth, plotHeight+24, plotWidth, plotHeight+24)
	return s
}

func (s *svg) end() template.HTML {
	s.WriteString("</svg>")
	return template.HTML(s.String()) //nolint:gosec // numbers and fixed words
}

// Waterfall goes from what live collects to what the candidate does.
func (r *Report) Waterfall() template.HTML {
	c, e := r.Exact.Change, &r.Exact
	bars := []struct {
		name string
		n    pricing.Credits
		sum  bool
	}{{"live", e.Live.Collectable, true}, {"rate", c.Rate, false}, {"access won", c.AccessWon, false}, {"access lost", c.AccessLost, false}, {"refunds", c.Refunds, false}, {"candidate", e.Candidate.Collectable, true}}
	low, high, at := 0.0, 1.0, 0.0
	for _, b := range bars {
		if at += float64(b.n); b.sum {
			at = float64(b.n)
		}
		low, high = min(low, at), max(high, at)
	}
	y := func(v float64) float64 { return plotHeight - (v-low)/(high-low)*(plotHeight-20) }
	s := newPlot("Waterfall from live to candidate")
	at = 0
	for i, b := range bars {
		from, to := at, at+float64(b.n)
		colour := "#2da44e"
		switch {
		case b.sum:
			from, to, colour = 0, float64(b.n), "#0969da"
		case b.n < 0:
			colour = "#cf222e"
		}
		x := float64(i)*plotWidth/6 + 10
		fmt.Fprintf(s, `<rect x="%.0f" y="%.1f" width="90" height="%.1f" fill="%s"/><text x="%.0f" y="%.1f">%d</text><text x="%.0f" y="%d">%s</text>`,
			x, min(y(from), y(to)), max(1, math.Abs(y(from)-y(to))), colour, x, min(y(from), y(to))-3, b.n, x, plotHeight+16, b.name)
		at = to
	}
	return s.end()
}

// Strip has a dot for every key's change, sorted.
func (r *Report) Strip() template.HTML {
	rows := byChange(r.Exact.Keys)
	most := 1.0
	for _, k := range rows {
		most = max(most, math.Abs(float64(k.Candidate-k.Live)))
	}
	s := newPlot("Change of every key's bill")
	fmt.Fprintf(s, `<line x1="0" x2="%d" y1="%d" y2="%d" stroke="#8c959f"/><text x="0" y="12">+%.0f</text><text x="0" y="%d">−%.0f</text>`, plotWidth, plotHeight/2, plotHeight/2, most, plotHeight, most)
	for i, k := range rows {
		d, colour := float64(k.Candidate-k.Live), "#cf222e"
		if d <= 0 {
			colour = "#2da44e"
		}
		fmt.Fprintf(s, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s" fill-opacity=".7"/>`, (float64(i)+.5)*plotWidth/float64(len(rows)), plotHeight/2-d/most*(plotHeight/2-6), colour)
	}
	return s.end()
}

// SurvivalPlot is the share of keys that the candidate has not stopped.
func (r *Report) SurvivalPlot() template.HTML {
	hours := max(1e-9, r.To.Sub(r.From).Hours())
	s := newPlot("Share of keys not stopped over time")
	s.WriteString(`<polyline fill="none" stroke="#0969da" stroke-width="2" points="`)
	share := 1.0
	point := func(h, v float64) {
		fmt.Fprintf(s, "%.1f,%.1f ", min(1, h/hours)*plotWidth, plotHeight-v*(plotHeight-10))
	}
	for _, c := range r.Exact.Survival.Curve {
		point(c.Hours, share)
		share = c.Share
		point(c.Hours, share)
	}
	point(hours, share)
	fmt.Fprintf(s, `"/><text x="0" y="%d">first call</text><text x="%d" y="%d">%.1f h</text>`, plotHeight+16, plotWidth-60, plotHeight+16, hours)
	return s.end()
}

// Fan is the change of revenue over elasticities.
func (r *Report) Fan() template.HTML {
	low, high := 0.0, 1.0
	for _, p := range r.Projected.Sensitivity {
		low, high = min(low, p.Change), max(high, p.Change)
	}
	y := func(v float64) float64 { return plotHeight - (v-low)/(high-low)*(plotHeight-20) }
	s := newPlot("Change of revenue by elasticity")
	fmt.Fprintf(s, `<line x1="0" x2="%d" y1="%.1f" y2="%.1f" stroke="#8c959f"/>`, plotWidth, y(0), y(0))
	for _, p := range r.Projected.Sensitivity {
		x := 20 - p.Elasticity/2*(plotWidth-80)
		fmt.Fprintf(s, `<circle cx="%.1f" cy="%.1f" r="4" fill="#0969da"/><text x="%.1f" y="%.1f">%+.0f</text><text x="%.1f" y="%d">%.2f</text>`, x, y(p.Change), x+6, y(p.Change)-5, p.Change, x, plotHeight+16, p.Elasticity)
	}
	return s.end()
}
