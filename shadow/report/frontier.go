package report

import (
	"paygate/pricing"
	"paygate/shadow/tally"
)

// Point is one candidate beside the others: what it collects against whom it
// hurts. One is Dominated when another is at least as good in everything and
// better in something: there is no reason to choose it.
type Point struct {
	Name        string          `json:"name"`
	Candidate   string          `json:"candidate"` // hash; empty: the live prices
	Attempts    int             `json:"attempts"`  // of its own window
	Live        pricing.Credits `json:"live"`      // what the live prices collect in that window
	Collectable pricing.Credits `json:"collectable"`
	NewlyDenied float64         `json:"newlyDenied"` // share of attempts
	Shock       float64         `json:"shock"`       // share of keys
	Margin      pricing.Credits `json:"margin"`
	Dominated   bool            `json:"dominated"`
}

// Beside is a candidate that was lived through.
type Beside struct {
	Name, Candidate string
	Tally           *tally.Tally
	Dollar          pricing.Credits // see Source
}

// Frontier is where candidates lie, after the live prices as they were counted
// in one of them.
func Frontier(live *tally.Tally, all []Beside) []Point {
	points := []Point{counted{live}.livePoint()}
	for _, b := range all {
		points = append(points, b.point())
	}
	return dominate(points)
}

func (b *Beside) point() Point {
	t := counted{b.Tally}
	p := Point{Name: b.Name, Candidate: b.Candidate, Attempts: t.Attempts, Live: t.Sides[0].Collectable(), Collectable: t.Sides[1].Collectable(),
		Shock: t.bills(b.Dollar).Shock}
	if t.Attempts > 0 {
		p.NewlyDenied = float64(t.Newly) / float64(t.Attempts)
	}
	p.Margin = p.Collectable
	for _, tool := range t.Tools {
		p.Margin -= tool.Cost[1]
	}
	return p
}

// livePoint is where the live prices lie.
func (t counted) livePoint() Point {
	p := Point{Name: "live", Attempts: t.Attempts, Live: t.Sides[0].Collectable(), Collectable: t.Sides[0].Collectable()}
	p.Margin = p.Collectable
	for _, tool := range t.Tools {
		p.Margin -= tool.Cost[0]
	}
	return p
}

func dominate(points []Point) []Point {
	for i := range points {
		for j := range points {
			points[i].Dominated = points[i].Dominated || points[j].beats(&points[i])
		}
	}
	return points
}

// beats compares what is collected as a share of what live does: candidates
// that began at different times have seen different calls.
func (p *Point) beats(q *Point) bool {
	share := func(n pricing.Credits, of *Point) float64 {
		if p.Live > 0 && q.Live > 0 {
			return float64(n) / float64(of.Live)
		}
		return float64(n)
	}
	better := false
	for _, pair := range [...][2]float64{{share(p.Collectable, p), share(q.Collectable, q)}, {share(p.Margin, p), share(q.Margin, q)},
		{-p.NewlyDenied, -q.NewlyDenied}, {-p.Shock, -q.Shock}} {
		if pair[0] < pair[1] {
			return false
		}
		better = better || pair[0] > pair[1]
	}
	return better
}
