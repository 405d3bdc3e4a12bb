package lab

import (
	"fmt"
	"strings"

	"paygate/pricing"
	"paygate/server/api"
)

// Price is what a tool costs on a sheet, as a cell of the lab shows it.
type Price struct{ PerCall, PerKBIn, PerKBOut pricing.Decimal }

// PriceOf reads a price as the API sends it.
func PriceOf(p api.LabPrice) (Price, error) {
	var out Price
	for _, part := range []struct {
		text string
		to   *pricing.Decimal
	}{{p.PerCall, &out.PerCall}, {p.PerKBIn, &out.PerKBIn}, {p.PerKBOut, &out.PerKBOut}} {
		if part.text == "" {
			continue
		}
		d, err := pricing.ParseDecimal(part.text)
		if err != nil {
			return out, fmt.Errorf("price: %w", err)
		}
		*part.to = d
	}
	return out, nil
}

// API is the price as the API takes it.
func (p Price) API() api.LabPrice {
	return api.LabPrice{PerCall: p.PerCall.String(), PerKBIn: p.PerKBIn.String(), PerKBOut: p.PerKBOut.String()}
}

// String writes a price the way ParsePrice reads it: free, 5, 0.25, 4+1/KB for
// each KB of the answer, 4+1/KB in for each KB of the arguments.
func (p Price) String() string {
	if p == (Price{}) {
		return "free"
	}
	var parts []string
	if p.PerCall > 0 {
		parts = append(parts, p.PerCall.String())
	}
	if p.PerKBIn > 0 {
		parts = append(parts, p.PerKBIn.String()+"/KB in")
	}
	if p.PerKBOut > 0 {
		parts = append(parts, p.PerKBOut.String()+"/KB")
	}
	return strings.Join(parts, "+")
}

// ParsePrice reads what a person types into a cell.
func ParsePrice(text string) (Price, error) {
	var p Price
	wrong := fmt.Errorf("%q: a price is such as 5, 0.25, 4+1/KB or 4+1/KB in", text)
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "free" || text == "" {
		return p, nil
	}
	for part := range strings.SplitSeq(text, "+") {
		part = strings.TrimSpace(part)
		number, unit, _ := strings.Cut(part, "/")
		to := &p.PerCall
		switch strings.Join(strings.Fields(unit), " ") {
		case "":
		case "kb", "kb out":
			to = &p.PerKBOut
		case "kb in", "kbin":
			to = &p.PerKBIn
		default:
			return p, wrong
		}
		d, err := pricing.ParseDecimal(strings.TrimSpace(number))
		if err != nil {
			return p, wrong
		}
		*to = d
	}
	return p, nil
}

// Step is the price a call dearer or cheaper by whole credits, never below
// nothing.
func (p Price) Step(by int64) Price {
	p.PerCall = min(max(p.PerCall+pricing.Decimal(by)*pricing.One, 0), pricing.Decimal(pricing.MaxCredits)*pricing.One)
	return p
}

// Times is the price times a factor, to six decimals.
func (p Price) Times(factor pricing.Decimal) Price {
	times := func(d pricing.Decimal) pricing.Decimal {
		whole, rest := d/pricing.One, d%pricing.One
		return min(whole*factor+rest*factor/pricing.One, pricing.Decimal(pricing.MaxCredits)*pricing.One)
	}
	return Price{times(p.PerCall), times(p.PerKBIn), times(p.PerKBOut)}
}
