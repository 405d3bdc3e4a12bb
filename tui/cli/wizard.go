package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	neturl "net/url"
	"os"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/huh/v2"
)

// answers are what the first run has asked.
type answers struct {
	isDemo  bool
	command []string // program and arguments
	url     string
	env     map[string]string
	shadow  bool
	price   int64
}

const (
	byCommand = "command"
	byURL     = "url"
	byDemo    = "demo"
)

// errLeft means that the person has left the questions.
var errLeft = errors.New("left; nothing was written")

// wizard is the first run: it asks what to put a price on, writes the file at
// the end, and starts. Nothing is written before.
func (w *World) wizard(ctx context.Context, wrap Wrap) error {
	wrap.File = first(wrap.File, ConfigFile)
	a, err := w.questions(ctx, wrap.File, "Start")
	if err != nil {
		return err
	}
	if a.isDemo {
		return w.Demo(ctx, wrap, "0")
	}
	if err := writeConfig(wrap.File, a); err != nil {
		return err
	}
	w.say("wrote %s", wrap.File)
	return w.start(ctx, wrap)
}

// questions asks; then says what comes after the last one.
func (w *World) questions(ctx context.Context, file, then string) (answers, error) {
	what, command, url, price, mode, isSure := byCommand, "npx -y @modelcontextprotocol/server-filesystem .", "", "1", "shadow", true
	found := findServers(w.home())
	options := []huh.Option[string]{huh.NewOption("A command that starts an MCP server", byCommand), huh.NewOption("The URL of one that runs", byURL)}
	for i, f := range found {
		options = append(options, huh.NewOption(f.String(), strconv.Itoa(i)))
	}
	if then == "Start" {
		options = append(options, huh.NewOption("The demo, to look around first; it writes nothing", byDemo))
	}
	back := &goingBack{}
	step := func(n int, name string, fields ...huh.Field) *huh.Group {
		return huh.NewGroup(fields...).Title(fmt.Sprintf("PayGate, first run · %d of 3 · %s", n, name)).Description("Nothing is written before the end. esc goes back, ctrl+c leaves.\n")
	}
	form := huh.NewForm(
		step(1, "what", huh.NewSelect[string]().Title("What shall have a price?").Options(options...).Value(&what)),
		step(2, "where", huh.NewInput().Title("Command").Description("as you would type it in a shell").Value(&command).Validate(back.unless(w.aCommand))).
			WithHideFunc(func() bool { return what != byCommand }),
		step(2, "where", huh.NewInput().Title("URL").Placeholder("https://mcp.example.com/mcp").Value(&url).Validate(back.unless(aURL))).
			WithHideFunc(func() bool { return what != byURL }),
		step(3, "how", huh.NewSelect[string]().Title("Should calls cost something from the start?").Options(
			huh.NewOption("Shadow   watch what calls would cost; nothing is charged", "shadow"),
			huh.NewOption("Live     charge from the first call", "live")).Value(&mode),
			huh.NewInput().Title("Credits for a call").Description("of a tool without a price of its own; all of this can be changed later").Value(&price).Validate(back.unless(aPrice)),
			huh.NewConfirm().Title("Write ./"+strings.TrimPrefix(file, "./")+"?").Affirmative(then).Negative("Leave").Value(&isSure),
		).WithHideFunc(func() bool { return what == byDemo }),
	).WithInput(w.In).WithOutput(w.Out).WithAccessible(w.env("ACCESSIBLE") != "").WithProgramOptions(tea.WithFilter(back.filter))
	err := form.RunWithContext(ctx)
	switch {
	case errors.Is(err, huh.ErrUserAborted), ctx.Err() != nil, err == nil && !isSure:
		return answers{}, errLeft
	case err != nil:
		return answers{}, err
	}
	a := answers{isDemo: what == byDemo, shadow: mode == "shadow"}
	a.price, _ = strconv.ParseInt(strings.TrimSpace(price), 10, 64) // aPrice has read it
	switch i, err := strconv.Atoi(what); {
	case err == nil:
		a.command, a.url, a.env = found[i].command, found[i].url, found[i].env
	case what == byURL:
		a.url = strings.TrimSpace(url)
	case aURL(command) == nil:
		a.url = strings.TrimSpace(command)
	default:
		a.command, _ = w.Split(command) // aCommand has split it
	}
	return a, nil
}

// goingBack lets a person go back from a field with a mistake in it: the form
// would hold them there.
type goingBack struct{ is bool }

func (g *goingBack) filter(_ tea.Model, msg tea.Msg) tea.Msg {
	if k, ok := msg.(tea.KeyPressMsg); ok {
		if k.Code == tea.KeyEscape {
			k = tea.KeyPressMsg{Code: tea.KeyTab, Mod: tea.ModShift}
		}
		g.is = k.String() == "shift+tab"
		return k
	}
	return msg
}

func (g *goingBack) unless(check func(string) error) func(string) error {
	return func(s string) error {
		if g.is {
			return nil
		}
		return check(s)
	}
}

func (w *World) aCommand(s string) error {
	if aURL(s) == nil { // the other question's answer is as good
		return nil
	}
	words, err := w.Split(s)
	if err != nil {
		return err
	}
	if err := w.Find(words[0]); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "MCP server: "))
	}
	return nil
}

func aURL(s string) error {
	u, err := neturl.Parse(strings.TrimSpace(s))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("write it whole, such as https://mcp.example.com/mcp")
	}
	return nil
}

func aPrice(s string) error {
	if n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64); err != nil || n < 0 || n > 1_000_000_000 {
		return errors.New("a whole number of credits, 0 or more")
	}
	return nil
}

func (w *World) home() string { return first(w.env("HOME"), w.env("USERPROFILE")) }

// writeConfig writes a file for paygate to start with. It never overwrites.
func writeConfig(file string, a answers) error {
	config := map[string]any{"defaultCreditsPerCall": a.price, "shadowMode": a.shadow, "refundOnFailure": true}
	if a.url != "" {
		config["remoteUrl"] = a.url
	} else {
		config["serverCommand"], config["serverArgs"] = a.command[0], append([]string{}, a.command[1:]...)
	}
	if len(a.env) > 0 {
		config["env"] = a.env
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	return errors.Join(err, f.Close())
}
