package form

import (
	"bytes"
	"fmt"
	"html/template"

	"paygate/shadow/report"
)

func (r view) html() ([]byte, error) {
	var b bytes.Buffer
	if err := page.Execute(&b, r); err != nil {
		return nil, fmt.Errorf("report of %s: %w", r.Name, err)
	}
	return b.Bytes(), nil
}

var page = template.Must(template.New("report").Funcs(template.FuncMap{"percent": percentOf, "figure": figure, "maybe": maybe, "arm": armName, "effectPlot": effectPlot, "noTrial": func() string { return report.NoTrial }, "short": func(s string) string { return s[:min(12, len(s))] }}).Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Price experiment {{.Name}}</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h1,h2{line-height:1.2}table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .7rem;border-bottom:1px solid #d8dee4;text-align:right}
td:first-child,th:first-child{text-align:left}.bad{color:#a40e26;font-weight:600}.ok{color:#116329}svg{display:block;margin:1rem 0;max-width:100%}
.words td{text-align:left;vertical-align:top}.verdict{font-size:1.1rem;border-left:4px solid #0969da;padding-left:1rem}small,text{fill:#57606a;color:#57606a}
</style>
<h1>Price experiment {{.Name}}</h1>{{if .Demo}}<p><strong>Demo: the calls are made up.</strong></p>{{end}}<p class="verdict">{{.Verdict}}</p>
<p><small>live {{short .Live}} · candidate {{short .Candidate}} · {{.From.Format "2006-01-02 15:04"}} – {{.To.Format "2006-01-02 15:04"}} UTC · grade {{.Grade}} · coverage {{percent .Coverage}} of {{.Attempts}} attempts · self-difference {{.SelfDifference}} · seed {{.Seed}} · paygate {{.Version}} · log digest {{short .LogDigest}}, act {{.LastSeq}}</small></p>
<h2>From live to the candidate</h2>{{.Waterfall}}{{with .Exact.Lift}}<p>The change is {{percent .}} of what live collects, exactly, over these calls.</p>{{end}}
<table><tr><th><th>potential<th>collectable<th>admitted<th>denied
{{with .Exact.Live}}<tr><td>live<td>{{.Potential}}<td>{{.Collectable}}<td>{{.Admitted}}<td>{{.Denied}}{{end}}
{{with .Exact.Candidate}}<tr><td>candidate<td>{{.Potential}}<td>{{.Collectable}}<td>{{.Admitted}}<td>{{.Denied}}{{end}}</table>
{{if .Exact.Leakage}}<p>What is not collected, by why it is denied:</p><table><tr><th>reason<th>live<th>candidate{{range .Exact.Leakage}}<tr><td>{{.Reason}}<td>{{.Live}}<td>{{.Candidate}}{{end}}</table>{{end}}
<h2>Winners and losers</h2>{{.Strip}}
{{with .Exact.Losers}}<h3>Who pays more</h3>{{template "keys" .}}{{end}}{{with .Exact.Winners}}<h3>Who pays less</h3>{{template "keys" .}}{{end}}
<h2>When keys are denied</h2>{{.DenialPlot}}{{with .Exact.Timeline}}{{if .More}}<p><small>{{.More}} more keys are denied.</small></p>{{end}}{{end}}
{{with .Stopped}}<h3>First stopped</h3><table><tr><th>key<th>when<th>why<th>run{{range .}}<tr><td>{{or .Name .ID}}<td>{{with .FirstDeniedAt}}{{.Format "2006-01-02 15:04:05"}}{{end}}<td>{{.StoppedBy}}<td>{{.Run}}{{end}}</table>{{end}}
<h2>Keys not stopped, over time</h2>{{.SurvivalPlot}}
<h2>Tools under both sheets</h2>{{.HeatMap}}<table><tr><th>tool<th>calls<th>live<th>candidate<th>per success, live<th>per success<th>margin, live<th>margin
{{range .Exact.Tools}}<tr><td>{{.Tool}}<td>{{.Calls}}<td>{{.Live}}<td>{{.Candidate}}<td>{{maybe .PerSuccessLive "%.2f"}}<td>{{maybe .PricePerSuccess "%.2f"}}<td>{{.MarginLive}}<td>{{.Margin}}
{{end}}</table>
<h2>Candidates beside each other</h2>{{.FrontierPlot}}<table><tr><th><th>collects<th>newly denied<th>bill shock<th>margin<th>
{{range .Frontier}}<tr><td>{{.Name}}<td>{{.Collectable}}<td>{{percent .NewlyDenied}}<td>{{percent .Shock}}<td>{{.Margin}}<td>{{if .Dominated}}another one is better in all{{end}}
{{end}}</table>
<h2>If callers react</h2>{{.Fan}}<p>{{if .Projected.Lift}}{{with .Projected.Lift}}Lift {{percent .Estimate}}, 95 % [{{percent .Low}}, {{percent .High}}].{{end}}{{else}}No interval: {{.Projected.Refused}}.{{end}}
{{with .Projected.AffordToLose}}{{percent .}} of the volume may go before the margin is live's. {{end}}{{with .Projected.LeaveOneOut}}Without any one key: {{percent .Low}} to {{percent .High}}.{{end}} {{.Projected.Advice}}</p>
{{with .Projected.Tornado}}<table><tr><th>assumption<th>change at worst<th>at best{{range .}}<tr><td>{{.Assumption}}<td>{{printf "%+.0f" .Low}}<td>{{printf "%+.0f" .High}}{{end}}</table>{{end}}
<h2>What a run costs</h2><table><tr><th><th>p50<th>p90<th>p99<th>broken<th>spent in runs that broke
{{with .Exact.Runs}}<tr><td>live<td>{{printf "%.0f" .CostP50Live}}<td>{{printf "%.0f" .CostP90Live}}<td>{{printf "%.0f" .CostP99Live}}<td>{{percent .BrokenLive}}<td>{{.StrandedLive}}
<tr><td>candidate<td>{{printf "%.0f" .CostP50}}<td>{{printf "%.0f" .CostP90}}<td>{{printf "%.0f" .CostP99}}<td>{{percent .Broken}}<td>{{.Stranded}}{{end}}</table>
<h2>How long balances last</h2>{{if .Projected.Runway.Refused}}<p>{{.Projected.Runway.Refused}}.</p>{{else}}{{.BalanceFan}}<table><tr><th>key<th>balance<th>a day<th>days<th>empty in a week<th>in 30 days
{{range .Projected.Runway.Soonest}}<tr><td>{{or .Name .ID}}<td>{{.Balance}}<td>{{printf "%.1f" .Burn}}<td>{{printf "%.1f" .Days}}<td>{{percent .EmptyBy7}}<td>{{percent .EmptyBy30}}{{end}}</table>{{end}}
<h2>How callers react: the real experiment</h2>{{with .Trial}}<p class="verdict">{{.Verdict}}</p>{{effectPlot .}}<table><tr><th><th>keys<th>expected<th>attempts<th>denied<th>charged
{{range $i, $a := .Arms}}<tr><td>{{arm $i}}<td>{{.Keys}}<td>{{printf "%.1f" .Expected}}<td>{{.Attempts}}<td>{{.Denied}}<td>{{.Charged}}
{{end}}</table><table class="words">{{range .Rows}}<tr><td>{{.Name}}<td>{{.Value}}<td>{{.Note}}
{{end}}</table>{{else}}<p>{{noTrial}}</p>{{end}}
<h2>Guardrails</h2><table><tr><th><th>value<th>limit<th><th>blocks
{{range .Guardrails}}<tr><td>{{.Name}}<td>{{figure .Value}}<td>{{figure .Limit}}<td>{{if .Pass}}<span class="ok">passes</span>{{else}}<span class="bad">fails</span>{{end}}<td>{{.Blocks}}
{{end}}</table>
<h2>All other figures</h2><table><tr><th><th>live<th>candidate{{range .Lines}}<tr><td>{{.Name}}<td>{{.Live}}<td>{{.Candidate}}{{end}}</table>
<h2>What this assumes</h2><ul>{{range .Assumptions}}<li>{{.}}{{end}}</ul>
<h2>What this cannot know</h2><ul>{{range .Limits}}<li>{{.}}{{end}}</ul></html>
{{define "keys"}}<table><tr><th>key<th>live<th>candidate<th>newly denied<th>first denied<th>tool
{{range .}}<tr><td>{{or .Name .ID}}<td>{{.Live}}<td>{{.Candidate}}<td>{{.NewlyDenied}}<td>{{with .FirstDeniedAt}}{{.Format "2006-01-02 15:04:05"}}{{end}}<td>{{.Tool}}
{{end}}</table>{{end}}
`))
