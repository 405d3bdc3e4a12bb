package demo

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"paygate/server/api"
	"paygate/server/api/client"
)

// Call is one call of the made-up history; its agent knows the key.
type Call struct {
	Agent string
	api.Past
}

// The history is two weeks and a little, so that it is long enough for the
// lab's guardrails at the first look.
const (
	historyDays = 14
	History     = historyDays*24*time.Hour + 3*time.Hour
	historySeed = 20260401 // the same history every time
	runsADay    = 6        // of a usual customer
)

// Candidates are the price sheets that the demo shadows from the beginning of
// its history.
func Candidates() map[string]string {
	return map[string]string{
		"demo-per-result": `name: demo, per result
currency: {credit_usd: "0.001"}
defaults: {per_call: 1, bill_on: success}
rules:
  - {match: {tool: list_directory}, price: {per_call: 0}}
  - {match: {tool: write_file}, price: {per_call: 2}}
  - {match: {tool: web_search}, price: {per_call: 4, per_kb_out: 0.5, max: 8}}
  - {match: {tool: screenshot}, price: {per_call: 10, per_second: 8, max: 16}}
`,
		"demo-dearer": `name: demo, dearer
currency: {credit_usd: "0.001"}
defaults: {per_call: 2, bill_on: success}
rules:
  - {match: {tool: list_directory}, price: {per_call: 0}}
  - {match: {tool: write_file}, price: {per_call: 3}}
  - {match: {tool: web_search}, price: {per_call: 9}}
  - {match: {tool: screenshot}, price: {per_call: 25}}
`}
}

// Shadow keeps the candidates and lets them shadow from now on.
func Shadow(ctx context.Context, owner *client.Client) error {
	for name, sheet := range Candidates() {
		if err := owner.Do(ctx, http.MethodPost, "/admin/shadow", map[string]string{"name": name, "sheet": sheet}, nil); err != nil {
			return fmt.Errorf("candidate %s: %w", name, err)
		}
		if err := owner.Do(ctx, http.MethodPost, "/admin/shadow/start", map[string]string{"name": name}, nil); err != nil {
			return fmt.Errorf("candidate %s: %w", name, err)
		}
	}
	return nil
}

// Past makes up what the agents did in the two weeks before a time, in the
// order of time.
func Past(agents []Agent, until time.Time) []Call {
	random := rand.New(rand.NewPCG(historySeed, historySeed))
	var calls []Call
	for _, a := range agents {
		for day := range historyDays {
			begin := until.Add(-History + 2*time.Hour).Add(time.Duration(day) * 24 * time.Hour)
			for run := range int(math.Round(a.busy * runsADay * (0.6 + 0.8*random.Float64()))) {
				calls = a.work(random, calls, begin, fmt.Sprintf("demo-%s-%d-%d", a.Name, day, run))
			}
		}
	}
	slices.SortStableFunc(calls, func(a, b Call) int { return a.At.Compare(b.At) })
	return calls
}

// work is one run: a few calls with pauses, mostly by day.
func (a Agent) work(random *rand.Rand, calls []Call, day time.Time, run string) []Call {
	hour := math.Mod(14+5*random.NormFloat64()+48, 24)
	at := day.Add(time.Duration(hour * float64(time.Hour)))
	for range 2 + random.IntN(9) {
		name := a.Tools[0]
		if random.Float64() > 0.6 {
			name = a.Tools[random.IntN(len(a.Tools))]
		}
		i := slices.IndexFunc(Tools(), func(t Tool) bool { return t.Name == name })
		t := Tools()[i]
		calls = append(calls, Call{a.Name, api.Past{Tool: name, Run: run, At: at.Truncate(time.Millisecond), Took: time.Duration(float64(t.Took) * (0.5 + random.ExpFloat64()/2)),
			In: 40 + int64(random.IntN(300)), Out: int64(float64(t.Answer) * (0.4 + 1.2*random.Float64())), Failed: random.Float64() < t.Fails}})
		at = at.Add(time.Duration(random.ExpFloat64() * 40 * float64(time.Second)))
	}
	return calls
}

// spent is about what an agent spends in the history by the demo's prices.
func spent(calls []Call) map[string]int64 {
	price, total := map[string]int64{}, map[string]int64{}
	for _, t := range Tools() {
		price[t.Name] = t.Price
	}
	for _, c := range calls {
		total[c.Agent] += price[c.Tool]
	}
	return total
}
