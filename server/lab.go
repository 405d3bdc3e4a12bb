package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"paygate/pricing"
	"paygate/pricing/sheetfile"
	"paygate/server/api"
	"paygate/shadow"
	"paygate/store"
	"paygate/store/sheets"
)

// experiments are the routes of the pricing lab.
func (s *Server) experiments() []api.Route {
	return []api.Route{
		api.Handle("POST", "/admin/shadow", api.Admin, "Keep a candidate price sheet under a name", s.shadowNew).Created(),
		api.Handle("GET", "/admin/shadow", api.Viewer, "How far the experiments are", s.shadowStatus),
		api.Handle("GET", "/admin/shadow/sheets", api.Viewer, "The live prices and the candidates', tool by tool", s.shadowSheets),
		api.Handle("POST", "/admin/shadow/start", api.Admin, "Shadow a candidate from now on", s.shadowStart),
		api.Handle("POST", "/admin/shadow/stop", api.Admin, "End an experiment; its report stays", s.shadowStop),
		api.Handle("GET", "/admin/shadow/diff", api.Viewer, "What a candidate changes of the live prices", s.shadowDiff),
		api.RawRoute("GET", "/admin/shadow/report", api.Viewer, "What a candidate would have meant (format json, markdown, html, csv)", s.shadowReport).As("application/json", "text/markdown", "text/html", "text/csv").Reads("name", "from", "to", "format"),
		api.Handle("GET", "/admin/shadow/statement", api.Viewer, "What one key would have paid, call by call", s.shadowStatement),
		api.Handle("GET", "/admin/shadow/experiment", api.Viewer, "How callers react to a candidate that some of them pay by", s.shadowTrial),
		api.Handle("POST", "/admin/shadow/sums", api.Viewer, "What the newest calls would cost under several sheets, limits and wallets aside", s.shadowSums),
		api.Handle("POST", "/admin/shadow/replay", api.Viewer, "What candidates would have meant for recorded calls", s.shadowReplay),
		api.Handle("GET", "/admin/shadow/replay", api.Viewer, "How far a replay is that was given an id", s.shadowProgress),
		api.Handle("DELETE", "/admin/shadow/replay", api.Viewer, "Cancel a replay that was given an id", s.shadowCancel),
		api.Handle("GET", "/admin/shadow/power", api.Viewer, "How many keys it takes to see a change of bills", s.shadowPower),
		api.Handle("POST", "/admin/shadow/verify", api.Viewer, "Make a report again and compare", s.shadowVerify),
	}
}

// labError says an error of the lab in the API's words.
func labError(err error) error {
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

func labAnswer[T any](out T, err error) (T, error) {
	if err != nil {
		return out, labError(err)
	}
	return out, nil
}

type shadowNewIn struct {
	Name  string                  `json:"name"`
	Sheet string                  `json:"sheet"` // the file's text, YAML or JSON; or
	From  string                  `json:"from"`  // an experiment, or "live", and
	Set   map[string]pricing.Cell `json:"set"`   // prices that are other than there, by tool; "*" is the default price
}

type shadowNewOut struct {
	*shadow.Experiment
	Notes []sheetfile.Diagnostic `json:"diagnostics"` // warnings about the sheet
}

func (s *Server) shadowNew(ctx context.Context, in shadowNewIn) (shadowNewOut, error) {
	if in.From != "" {
		if in.Sheet != "" {
			return shadowNewOut{}, api.BadRequest("sheet and from: say one of them")
		}
		e, err := s.lab.Copy(ctx, in.Name, in.From, in.Set, api.ActorOf(ctx).ID)
		return labAnswer(shadowNewOut{e, []sheetfile.Diagnostic{}}, err)
	}
	e, notes, err := s.lab.New(ctx, in.Name, []byte(in.Sheet), api.ActorOf(ctx).ID)
	return labAnswer(shadowNewOut{e, append([]sheetfile.Diagnostic{}, notes...)}, err)
}

type nameIn struct {
	Name string `json:"name" query:"name"`
}

type shadowStatusOut struct {
	Experiments []shadow.Status `json:"experiments"`
}

func (s *Server) shadowStatus(ctx context.Context, in nameIn) (shadowStatusOut, error) {
	list, err := s.lab.Status(ctx, in.Name)
	return labAnswer(shadowStatusOut{append([]shadow.Status{}, list...)}, err)
}

func (s *Server) shadowStart(ctx context.Context, in nameIn) (*shadow.Experiment, error) {
	return labAnswer(s.lab.Start(ctx, in.Name, api.ActorOf(ctx).ID))
}

func (s *Server) shadowStop(ctx context.Context, in nameIn) (*shadow.Experiment, error) {
	return labAnswer(s.lab.Stop(ctx, in.Name, api.ActorOf(ctx).ID))
}

type shadowDiffOut struct {
	Differences []pricing.Difference `json:"differences"`
}

func (s *Server) shadowDiff(_ context.Context, in nameIn) (shadowDiffOut, error) {
	list, err := s.lab.Diff(in.Name)
	return labAnswer(shadowDiffOut{append([]pricing.Difference{}, list...)}, err)
}

// shadowReport gives one content in four forms.
func (s *Server) shadowReport(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	window := shadow.Window{}
	if from := api.DateOr(q.Get("from"), window.From); q.Get("from") != "" {
		window.From = from
	}
	if to := api.DateOr(q.Get("to"), window.To); q.Get("to") != "" {
		window.To = to
	}
	report, err := s.lab.Report(r.Context(), q.Get("name"), window)
	if err != nil {
		return labError(err)
	}
	kind, text := "text/markdown; charset=utf-8", []byte(nil)
	switch q.Get("format") {
	case "markdown":
		text = []byte(report.Markdown())
	case "html":
		kind = "text/html; charset=utf-8"
		text, err = report.HTML()
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:")
	case "csv":
		kind = "text/csv; charset=utf-8"
		text, err = report.CSV()
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

func (s *Server) shadowStatement(ctx context.Context, in statementIn) (statementOut, error) {
	id, ok := s.keys.Resolve(in.Key)
	if !ok {
		return statementOut{}, api.NotFound("Key not found")
	}
	lines, err := s.lab.Statement(ctx, in.Name, id)
	return labAnswer(statementOut{append([]shadow.Line{}, lines...)}, err)
}

func (s *Server) shadowTrial(ctx context.Context, in nameIn) (*shadow.Trial, error) {
	return labAnswer(s.lab.Trial(ctx, in.Name))
}

type powerIn struct {
	Name   string     `query:"name"`
	Effect api.Number `query:"effect"` // share of the mean bill; default 0.05
	Power  api.Number `query:"power"`  // share of cases in which it is seen; default 0.8
}

func (s *Server) shadowPower(ctx context.Context, in powerIn) (*shadow.Needed, error) {
	effect, power := .05, .8
	if in.Effect.Given {
		effect = in.Effect.Float()
	}
	if in.Power.Given {
		power = in.Power.Float()
	}
	return labAnswer(s.lab.Needed(ctx, in.Name, effect, power))
}

type verifyIn struct {
	Report json.RawMessage `json:"report"`
}

func (s *Server) shadowVerify(ctx context.Context, in verifyIn) (*shadow.Verified, error) {
	return labAnswer(s.lab.Verify(ctx, in.Report))
}
