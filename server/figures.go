package server

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/tidwall/sjson"

	"paygate/pricing"
	"paygate/server/gate"
	"paygate/server/mcp"
)

// figures puts what a caller may know of its account into the answer's
// headers. In shadow mode agents see no price, so only rates are shown.
func (a *agents) figures(w *World, who identity, x *mcp.Exchange, c *gate.Call) {
	if who.terms == nil {
		return
	}
	if !w.Way.Observe {
		x.SetHeader("X-Credits-Remaining", strconv.FormatInt(int64(a.left(who, c)), 10))
		if c != nil && c.Settlement.Surcharge > 0 {
			x.SetHeader("X-Output-Surcharge", strconv.FormatInt(int64(c.Settlement.Surcharge), 10))
		}
	}
	limit := who.terms.PerMinute(w.Config.GlobalRateLimit)
	if plan := w.prices.of(who.terms, a.s.opts.Now()).Plan(who.terms.Plan); plan != nil && plan.Rate > 0 && (limit <= 0 || int(plan.Rate) < limit) {
		limit = int(plan.Rate)
	}
	if limit <= 0 {
		return
	}
	used, reset := a.s.book.Window(who.terms.ID, "")
	x.SetHeader("X-RateLimit-Limit", strconv.Itoa(limit))
	x.SetHeader("X-RateLimit-Remaining", strconv.Itoa(max(0, limit-used)))
	x.SetHeader("X-RateLimit-Reset", seconds(reset))
}

// left is what the caller can still spend: as its call left it, or as it is.
func (a *agents) left(who identity, c *gate.Call) pricing.Credits {
	if c != nil && c.Settlement.Seq > 0 {
		return c.Settlement.Left
	}
	return a.s.book.Key(who.terms.ID).Available
}

// withFigures repeats in the answer's _meta what would have been headers: on a
// stream they have left before the call ended.
func withFigures(c *gate.Call) *mcp.Message {
	if c.Result == nil || c.Result.Result == nil {
		return c.Result
	}
	m := *c.Result
	figures := map[string]int64{"creditsRemaining": int64(c.Settlement.Left), "creditsCharged": int64(c.Settlement.Charged)}
	if c.Settlement.Surcharge > 0 {
		figures["outputSurcharge"] = int64(c.Settlement.Surcharge)
	}
	if edited, err := sjson.SetBytes(m.Result, "_meta.paygate", figures); err == nil {
		m.Result = edited
	}
	return &m
}

// refusal is a denial in the words of the contract.
func (a *agents) refusal(w *World, c *gate.Call, d *gate.Denial) *mcp.Message {
	code := d.Code
	if code == 0 {
		code = gate.CodePayment
	}
	data := map[string]any{}
	if d.RetryAfter > 0 {
		data["retryAfter"] = int(math.Ceil(d.RetryAfter.Seconds()))
	}
	if !w.Way.Observe { // in shadow mode agents see no price
		need, have := int64(c.Quote), int64(0)
		if c.Terms != nil {
			have = int64(a.s.book.Key(c.Terms.ID).Available)
		}
		if d.Need > 0 {
			need = int64(d.Need)
		}
		data["creditsRequired"], data["remainingCredits"] = need, have
		data["x402"] = map[string]any{"version": "1", "scheme": "credits", "creditsRequired": need, "creditsAvailable": have,
			"topUpUrl": "/topup", "pricingUrl": "/pricing", "accepts": []string{"X-API-Key", "Bearer"}}
	}
	text, err := json.Marshal(data)
	if err != nil {
		text = nil
	}
	return &mcp.Message{Error: &mcp.Error{Code: code, Message: d.Error(), Data: text}}
}

// seconds is a duration as headers carry it: whole seconds, never too few.
func seconds(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}
