// Package lab is the pricing lab over HTTP: the routes by which candidates are
// kept, shadowed, reported, replayed, promoted and taken back, and their metrics.
//
// It only asks and answers. What an experiment is, and what becomes of it, is
// package shadow's; which sheet a call pays by is the server's.
package lab

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/pricing/sheetfile"
	"paygate/server/api"
	"paygate/server/keys"
	"paygate/shadow"
	"paygate/shadow/form"
	"paygate/shadow/trial"
	"paygate/store"
	"paygate/store/sheets"
)

// Options are what the routes ask.
type Options struct {
	Lab     *shadow.Lab
	Keys    *keys.Directory
	DB      *store.DB
	Now     func() time.Time
	Live    func() *pricing.Sheet          // what calls are judged by now
	Rollout func() *sheets.Rollout         // who pays by another sheet now
	Tools   func(context.Context) []string // that the servers have
}

// Lab answers.
type Lab struct{ o Options }

// New is the lab's routes.
func New(o Options) *Lab { return &Lab{o} }

// Routes are the lab's operations.
func (l *Lab) Routes() []api.Route { return slices.Concat(l.experiments(), l.promotions()) }

// experiments are the routes about candidates that nobody pays.
func (l *Lab) experiments() []api.Route {
	return []api.Route{
		api.Handle("POST", "/admin/shadow", api.Admin, "Keep a candidate price sheet under a name", l.create).Created(),
		api.Handle("GET", "/admin/shadow", api.Viewer, "How far the experiments are", l.status),
		api.Handle("GET", "/admin/shadow/sheets", api.Viewer, "The live prices and the candidates', tool by tool", l.sheets),
		api.Handle("POST", "/admin/shadow/validate", api.Admin, "Make a candidate of a draft whose text has no mistake", l.validate),
		api.Handle("POST", "/admin/shadow/drop", api.Admin, "Forget a draft, or a candidate that never started", l.drop),
		api.Handle("POST", "/admin/shadow/start", api.Admin, "Shadow a candidate from now on", l.start),
		api.Handle("POST", "/admin/shadow/stop", api.Admin, "End an experiment; its report stays", l.stop),
		api.Handle("GET", "/admin/shadow/diff", api.Viewer, "What a candidate changes of the live prices", l.diff),
		api.RawRoute("GET", "/admin/shadow/report", api.Viewer, "What a candidate would have meant (format json, markdown, html, csv)", l.report).As("application/json", "text/markdown", "text/html", "text/csv").Reads("name", "from", "to", "format"),
		api.Handle("GET", "/admin/shadow/statement", api.Viewer, "What one key would have paid, call by call", l.statement),
		api.Handle("GET", "/admin/shadow/experiment", api.Viewer, "How callers react to a candidate that some of them pay by", l.trial),
		api.Handle("POST", "/admin/shadow/sums", api.Viewer, "What the newest calls would cost under several sheets, limits and wallets aside", l.sums),
		api.Handle("POST", "/admin/shadow/replay", api.Viewer, "What candidates would have meant for recorded calls", l.replay),
		api.Handle("GET", "/admin/shadow/replay", api.Viewer, "How far a replay is that was given an id", l.progress),
		api.Handle("DELETE", "/admin/shadow/replay", api.Viewer, "Cancel a replay that was given an id", l.cancel),
		api.Handle("GET", "/admin/shadow/power", api.Viewer, "How many keys it takes to see a change of bills", l.power),
		api.Handle("POST", "/admin/shadow/verify", api.Viewer, "Make a report again and compare", l.verify),
	}
}

// asAPI says an error of the lab in the API's words.
func asAPI(err error) error {
	var invalid *sheetfile.Invalid
	var bad *shadow.BadInput
	var blocked *shadow.Blocked
	switch {
	case errors.As(err, &invalid):
		return api.BadRequest("The price sheet has mistakes").With("diagnostics", invalid.Found)
	case errors.As(err, &bad):
		return api.BadRequest("%v", err)
	case errors.As(err, &blocked):
		return api.Conflict("%v", err).With("blocked", true).With("failing", blocked.Failing).With("report", blocked.Report)
	case errors.Is(err, store.ErrNotFound):
		return api.NotFound("There is no experiment of this name")
	case errors.Is(err, shadow.ErrTaken), errors.Is(err, shadow.ErrState), errors.Is(err, sheets.ErrMoved):
		return api.Conflict("%v", err)
	}
	return err
}

func answer[T any](out T, err error) (T, error) {
	if err != nil {
		return out, asAPI(err)
	}
	return out, nil
}

type newIn struct {
	Name  string                  `json:"name"`
	Sheet string                  `json:"sheet"` // the file's text, YAML or JSON; or
	From  string                  `json:"from"`  // an experiment, or "live", and
	Set   map[string]pricing.Cell `json:"set"`   // prices that are other than there, by tool; "*" is the default price
	Draft bool                    `json:"draft"` // keep the text as it is, mistakes and all
}

type newOut struct {
	*shadow.Experiment
	Notes []sheetfile.Diagnostic `json:"diagnostics"` // warnings about the sheet, and a draft's mistakes
}

func (l *Lab) create(ctx context.Context, in newIn) (newOut, error) {
	if in.From != "" {
		if in.Sheet != "" {
			return newOut{}, api.BadRequest("sheet and from: say one of them")
		}
		if in.Draft {
			return newOut{}, api.BadRequest("draft keeps a sheet's text, and from has none; leave draft out: what is not started may still change")
		}
		e, err := l.o.Lab.Copy(ctx, in.Name, in.From, in.Set, api.ActorOf(ctx).ID)
		return answer(newOut{e, []sheetfile.Diagnostic{}}, err)
	}
	if in.Draft {
		e, err := l.o.Lab.Draft(ctx, in.Name, []byte(in.Sheet), api.ActorOf(ctx).ID)
		if err != nil {
			return newOut{}, asAPI(err)
		}
		return newOut{e, e.Draft.Found}, nil
	}
	e, notes, err := l.o.Lab.New(ctx, in.Name, []byte(in.Sheet), api.ActorOf(ctx).ID)
	return answer(newOut{e, append([]sheetfile.Diagnostic{}, notes...)}, err)
}

type nameIn struct {
	Name string `json:"name" query:"name"`
}

type statusOut struct {
	Experiments    []shadow.Status `json:"experiments"`
	SelfDifference int             `json:"selfDifference"` // of the live prices' shadow from what happened; anything but 0 is an alarm
}

func (l *Lab) status(ctx context.Context, in nameIn) (statusOut, error) {
	list, err := l.o.Lab.Status(ctx, in.Name)
	return answer(statusOut{append([]shadow.Status{}, list...), l.o.Lab.Differences()}, err)
}

func (l *Lab) validate(ctx context.Context, in nameIn) (newOut, error) {
	e, notes, err := l.o.Lab.Validate(ctx, in.Name, api.ActorOf(ctx).ID)
	return answer(newOut{e, append([]sheetfile.Diagnostic{}, notes...)}, err)
}

func (l *Lab) drop(ctx context.Context, in nameIn) (*shadow.Experiment, error) {
	return answer(l.o.Lab.Drop(ctx, in.Name, api.ActorOf(ctx).ID))
}

func (l *Lab) start(ctx context.Context, in nameIn) (*shadow.Experiment, error) {
	return answer(l.o.Lab.Start(ctx, in.Name, api.ActorOf(ctx).ID))
}

func (l *Lab) stop(ctx context.Context, in nameIn) (*shadow.Experiment, error) {
	return answer(l.o.Lab.Stop(ctx, in.Name, api.ActorOf(ctx).ID))
}

type diffOut struct {
	Differences []pricing.Difference `json:"differences"`
}

func (l *Lab) diff(_ context.Context, in nameIn) (diffOut, error) {
	list, err := l.o.Lab.Diff(in.Name)
	return answer(diffOut{append([]pricing.Difference{}, list...)}, err)
}

// report gives one content in four forms.
func (l *Lab) report(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	window := shadow.Window{}
	if from := api.DateOr(q.Get("from"), window.From); q.Get("from") != "" {
		window.From = from
	}
	if to := api.DateOr(q.Get("to"), window.To); q.Get("to") != "" {
		window.To = to
	}
	report, err := l.o.Lab.Report(r.Context(), q.Get("name"), window)
	if err != nil {
		return asAPI(err)
	}
	kind, text := "text/markdown; charset=utf-8", []byte(nil)
	switch q.Get("format") {
	case "markdown":
		text = []byte(form.Markdown(report))
	case "html":
		kind = "text/html; charset=utf-8"
		text, err = form.HTML(report)
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:")
	case "csv":
		kind = "text/csv; charset=utf-8"
		text, err = form.CSV(report)
	default:
		return api.WriteJSON(w, r, http.StatusOK, report)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(text) // an error means that the reader has gone
	return nil
}

type statementIn struct {
	Name string `query:"name"`
	Key  string `query:"key"`
}

type statementOut struct {
	Lines []shadow.Line `json:"lines"`
}

func (l *Lab) statement(ctx context.Context, in statementIn) (statementOut, error) {
	id, ok := l.o.Keys.Resolve(in.Key)
	if !ok {
		return statementOut{}, api.NotFound("Key not found")
	}
	lines, err := l.o.Lab.Statement(ctx, in.Name, id)
	return answer(statementOut{append([]shadow.Line{}, lines...)}, err)
}

func (l *Lab) trial(ctx context.Context, in nameIn) (*trial.Trial, error) {
	return answer(l.o.Lab.Trial(ctx, in.Name))
}

type powerIn struct {
	Name   string     `query:"name"`
	Effect api.Number `query:"effect"` // share of the mean bill; default 0.05
	Power  api.Number `query:"power"`  // share of cases in which it is seen; default 0.8
}

func (l *Lab) power(ctx context.Context, in powerIn) (*shadow.Needed, error) {
	effect, power := .05, .8
	if in.Effect.Given {
		effect = in.Effect.Float()
	}
	if in.Power.Given {
		power = in.Power.Float()
	}
	return answer(l.o.Lab.Needed(ctx, in.Name, effect, power))
}

type verifyIn struct {
	Report json.RawMessage `json:"report"`
}

func (l *Lab) verify(ctx context.Context, in verifyIn) (*shadow.Verified, error) {
	return answer(l.o.Lab.Verify(ctx, in.Report))
}
