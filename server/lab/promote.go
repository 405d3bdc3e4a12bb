package lab

import (
	"context"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/shadow"
	"paygate/store/sheets"
)

// promotions are the routes by which a candidate's prices go live and come
// back.
func (l *Lab) promotions() []api.Route {
	return []api.Route{
		api.Handle("POST", "/admin/shadow/review", api.Admin, "Write down that a candidate's report was seen, by its hash", l.review),
		api.Handle("GET", "/admin/shadow/promote", api.Viewer, "What stands against a promotion, and whom it concerns", l.promotePreview),
		api.Handle("POST", "/admin/shadow/promote", api.Admin, "Make a candidate's prices live: now, at a time, or for some keys first", l.promote),
		api.Handle("POST", "/admin/shadow/cancel", api.Admin, "Take a scheduled promotion back", l.unschedule),
		api.Handle("GET", "/admin/shadow/rollout", api.Viewer, "Who pays by which sheet, what a canary does, and what comes next", l.rollout),
		api.Handle("GET", "/admin/shadow/rollback", api.Viewer, "What a rollback would give back, key by key", l.rollbackPreview),
		api.Handle("POST", "/admin/shadow/rollback", api.Admin, "Make the prices before live again, with exact refunds if asked", l.rollback),
	}
}

type promoteIn struct {
	Name     string     `json:"name" query:"name"`
	Override []string   `json:"override" query:"override"`     // guardrails by name, or "all"
	At       string     `json:"at" query:"at"`                 // when, such as 2027-01-31T12:00:00Z; empty: now
	Canary   api.Number `json:"canary" query:"canary"`         // percent of the keys that begin; 0: all of them
	For      string     `json:"for" query:"for"`               // how long the canary takes, such as 24h or 7d; empty: until somebody promotes again
	Keep     string     `json:"keep" query:"keep"`             // who goes on paying by the old sheet: none, existing, until:2027-01-31, or end
	PerCall  api.Number `json:"maxPerCall" query:"maxPerCall"` // of the canary: most that one call costs
	PerDay   api.Number `json:"maxPerDay" query:"maxPerDay"`   // of the canary: most that a key is charged a UTC day
	Quiet    string     `json:"quietHours" query:"quietHours"` // UTC, such as 22:00-07:00: nothing begins by itself then
}

func (in promoteIn) promotion() (shadow.Promotion, error) {
	p := shadow.Promotion{Name: in.Name, Override: in.Override, Percent: in.Canary.Float(), Keep: in.Keep, Quiet: in.Quiet}
	if in.Name == "" {
		return p, api.BadRequest("Missing name")
	}
	for _, n := range []struct {
		field string
		given api.Number
		to    *pricing.Credits
	}{{"canary", in.Canary, nil}, {"maxPerCall", in.PerCall, &p.PerCall}, {"maxPerDay", in.PerDay, &p.PerDay}} {
		if n.given.Given && !n.given.Positive() {
			return p, api.BadRequest("%s must be a number above 0; leave it out for none", n.field)
		}
		if n.to != nil {
			*n.to = pricing.Credits(n.given.Or(0, 1, int64(pricing.MaxCredits)))
		}
	}
	if in.At != "" {
		at := api.DateOr(in.At, time.Time{})
		if at.IsZero() {
			return p, api.BadRequest("at %q is not a time; write it as 2027-01-31T12:00:00Z", in.At)
		}
		p.At = at.UTC()
	}
	if in.For != "" {
		d, err := longDuration(in.For)
		if err != nil || d <= 0 {
			return p, api.BadRequest("for %q is not a duration; write it as 90m, 24h or 7d", in.For)
		}
		p.For = d
	}
	return p, nil
}

// longDuration is time.ParseDuration that knows days.
func longDuration(text string) (time.Duration, error) {
	n, ok := strings.CutSuffix(text, "d")
	if !ok {
		return time.ParseDuration(text)
	}
	d, err := time.ParseDuration(n + "h")
	return 24 * d, err
}

// promoteOut is what a promotion has done, and of a preview what it would do.
type promoteOut struct {
	*shadow.Promoted
	Concerned int `json:"concernedKeys"` // keys that pay the new prices at once
	Kept      int `json:"keptKeys"`      // keys that go on as before
	Keys      int `json:"keys"`          // all that are not revoked
}

func (l *Lab) promotePreview(ctx context.Context, in promoteIn) (promoteOut, error) {
	p, err := in.promotion()
	if err != nil {
		return promoteOut{}, err
	}
	made, err := l.o.Lab.Preview(ctx, p)
	if err != nil {
		return promoteOut{}, asAPI(err)
	}
	return l.concerned(made, p), nil
}

func (l *Lab) promote(ctx context.Context, in promoteIn) (promoteOut, error) {
	p, err := in.promotion()
	if err != nil {
		return promoteOut{}, err
	}
	made, err := l.o.Lab.Promote(ctx, p, api.ActorOf(ctx).ID)
	if err != nil {
		return promoteOut{}, asAPI(err)
	}
	return l.concerned(made, p), nil
}

// concerned counts the keys that a promotion is about.
func (l *Lab) concerned(made *shadow.Promoted, p shadow.Promotion) promoteOut {
	out := promoteOut{Promoted: made}
	at := l.o.Now()
	if p.At.After(at) {
		at = p.At
	}
	next := l.o.Rollout().With(sheets.Next{At: at, Percent: p.Percent, Salt: made.Experiment.Salt(), Keeps: p.Keeps()})
	for _, t := range l.o.Keys.Active() {
		out.Keys++
		if next.Concerns(sheets.Payer{ID: t.ID, Made: t.Made}) {
			out.Concerned++
		} else {
			out.Kept++
		}
	}
	return out
}

func (l *Lab) review(ctx context.Context, in nameIn) (*shadow.Experiment, error) {
	return answer(l.o.Lab.Review(ctx, in.Name, api.ActorOf(ctx).ID))
}

func (l *Lab) unschedule(ctx context.Context, in nameIn) (*shadow.Experiment, error) {
	return answer(l.o.Lab.Unschedule(ctx, in.Name, api.ActorOf(ctx).ID))
}

func (l *Lab) rollout(ctx context.Context, _ api.None) (*shadow.Rollout, error) {
	return answer(l.o.Lab.Rollout(ctx))
}

type rollbackIn struct {
	Name     string `json:"name" query:"name"`         // take back this one and no other; empty: what is charged now
	MakeGood bool   `json:"makeGood" query:"makeGood"` // give each key back what the new prices took more
}

func (l *Lab) rollbackPreview(ctx context.Context, in rollbackIn) (*shadow.RolledBackTo, error) {
	return answer(l.o.Lab.PreviewOf(ctx, in.Name, in.MakeGood))
}

func (l *Lab) rollback(ctx context.Context, in rollbackIn) (*shadow.RolledBackTo, error) {
	return answer(l.o.Lab.RollbackOf(ctx, in.Name, in.MakeGood, api.ActorOf(ctx).ID))
}
