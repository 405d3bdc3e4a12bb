package tui

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	tea "charm.land/bubbletea/v2"

	"paygate/tui/paint"
)

// screen is one of the numbered views.
type screen interface {
	Name() string
	Update(msg tea.Msg) tea.Cmd // frames, beats, answers; keys come by Keys
	Draw(a paint.Area)
	Status() []paint.Span
	Keys() []key
}

// Model is the whole dashboard. Only Update changes it, called from one
// goroutine.
type Model struct {
	opt   Options
	ctx   context.Context
	now   func() time.Time
	theme *paint.Theme
	look  look

	w, h    int
	screens []screen
	at      int
	feed    feed
	link    *link
	dialogs []dialog
	bar     *bar
	past    map[string][]string // typed before, by kind of bar
	flash   flash
	undos   []undo
	done    []string // command lines of what was done, newest last

	accessible bool
	mouseFree  bool
	rate       time.Duration
	blurred    bool
	exit       Exit
	gone       bool      // the terminal is another program's
	wanted     time.Time // when ctrl+z was pressed with the gateway inside

	canvas  *paint.Canvas
	content string
	dirty   bool // draw at the next View
	stale   bool // draw at the next beat
	crash   string
}

// New makes a dashboard; Run shows it.
func New(ctx context.Context, o Options) *Model {
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &Model{opt: o, ctx: ctx, now: o.Now, w: 80, h: 24, dirty: true, past: map[string][]string{}}
	m.look = lookOf(o)
	m.theme = m.look.theme()
	m.accessible = m.look.env["ACCESSIBLE"] != "" && m.look.env["ACCESSIBLE"] != "0"
	m.rate = 250 * time.Millisecond
	if m.look.env["SSH_TTY"] != "" {
		m.rate = 500 * time.Millisecond
	}
	m.canvas = paint.New(m.w, m.h, m.theme)
	m.link = newLink(ctx, o.Client)
	m.screens = []screen{newOverview(m), newCalls(m), newKeys(m), newPrices(m), newLaboratory(m), newLedger(m), newServers(m), newLogs(m)}
	return m
}

// Init starts the stream and the beat.
func (m *Model) Init() tea.Cmd {
	cmds := []tea.Cmd{m.listen(), m.beat(), tea.RequestBackgroundColor}
	if m.opt.View != "" {
		cmds = append(cmds, m.command(m.opt.View+" "+m.opt.Filter))
	}
	return tea.Batch(cmds...)
}

// beatMsg comes as often as the screen may change by itself.
type beatMsg time.Time

// answer brings back what a request found; then runs inside Update.
type answer struct{ then func() tea.Cmd }

func (m *Model) beat() tea.Cmd {
	d := m.rate
	if m.blurred {
		d = time.Second
	}
	return tea.Tick(d, func(t time.Time) tea.Msg { return beatMsg(t) })
}

// ask sends a request outside Update and hands its answer to then inside it.
func ask[T any](m *Model, method, path string, in any, then func(T, error) tea.Cmd) tea.Cmd {
	return func() tea.Msg {
		var out T
		err := m.opt.Client.Do(m.ctx, method, path, in, &out)
		return answer{func() tea.Cmd { return then(out, err) }}
	}
}

// Update takes in what happened.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h = msg.Width, msg.Height
		m.dirty = true
	case tea.ColorProfileMsg:
		m.look.profile(msg.Profile)
		m.restyle()
	case tea.BackgroundColorMsg:
		m.look.background(msg.IsDark())
		m.restyle()
	case tea.FocusMsg:
		m.blurred, m.dirty = false, true
	case tea.BlurMsg:
		m.blurred = true
	case tea.ResumeMsg:
		m.dirty = true
	case tea.QuitMsg, tea.InterruptMsg:
		return m, tea.Quit
	case beatMsg:
		return m, tea.Batch(m.onBeat(), m.beat())
	case streamMsg:
		return m, m.onStream(msg)
	case answer:
		m.dirty = true
		return m, msg.then()
	case tea.PasteMsg:
		m.dirty = true
		return m, m.paste(msg.Content)
	case tea.KeyPressMsg:
		m.dirty = true
		return m, m.press(msg)
	case tea.MouseMsg:
		m.dirty = true
		return m, m.mouse(msg)
	}
	return m, nil
}

func (m *Model) restyle() {
	m.theme = m.look.theme()
	m.dirty = true
}

func (m *Model) onBeat() tea.Cmd {
	if out, ok := m.opt.Output.(*os.File); ok && elsewhere(out) {
		m.gone = true
		return tea.Quit
	}
	now := m.now()
	if m.flash.over(now) {
		m.flash = flash{}
		m.stale = true
	}
	if m.feed.down(now) || m.feed.moving(now) {
		m.stale = true
	}
	m.dirty = m.dirty || m.stale
	m.stale = false
	return m.screens[m.at].Update(beatMsg(now))
}

// onStream takes in an event, and waits for the next one.
func (m *Model) onStream(msg streamMsg) tea.Cmd {
	next := m.link.next(msg.of)
	if !m.link.current(msg.of) {
		return next
	}
	if msg.again {
		return m.link.reopen(msg.of)
	}
	if msg.of.kind == liveStream {
		if msg.ended {
			m.feed.lost(m.now(), msg.err)
			m.dirty = true
			return m.link.retry(msg.of)
		}
		first := m.feed.seen == 0
		gap := m.feed.down(m.now())
		frame, ok := m.feed.take(msg.data, m.now())
		if !ok {
			return next
		}
		m.stale = true
		msg.of.tries = 0
		cmds := []tea.Cmd{next}
		if first || gap {
			cmds = append(cmds, m.resumed())
		}
		for _, s := range m.screens {
			cmds = append(cmds, s.Update(frame))
		}
		return tea.Batch(cmds...)
	}
	m.stale = true
	for _, s := range m.screens {
		if l, ok := s.(*logs); ok {
			l.take(msg)
		}
	}
	if msg.ended {
		return m.link.retry(msg.of)
	}
	return next
}

// resumed asks for what the stream does not repeat: the calls of the time it
// was away, and the tools.
func (m *Model) resumed() tea.Cmd {
	var cmds []tea.Cmd
	for _, s := range m.screens {
		switch s := s.(type) {
		case *calls:
			cmds = append(cmds, s.refill())
		case *prices:
			cmds = append(cmds, s.fetch())
		}
	}
	return tea.Batch(cmds...)
}

// View is the frame.
func (m *Model) View() tea.View {
	if m.dirty {
		m.content = m.frame()
		m.dirty = false
	}
	v := tea.NewView(m.content)
	v.AltScreen = true
	v.ReportFocus = true
	v.WindowTitle = m.title()
	if !m.mouseFree {
		v.MouseMode = tea.MouseModeCellMotion
	}
	if x, y, ok := m.canvas.Cursor(); ok {
		v.Cursor = tea.NewCursor(x, y)
	}
	return v
}

// frame draws everything. A screen that panics is replaced by what it said;
// the rest of the dashboard, and the gateway, go on.
func (m *Model) frame() (out string) {
	defer func() {
		if p := recover(); p != nil {
			m.crash = fmt.Sprintf("%v\n%s", p, debug.Stack())
			m.canvas.Reset(m.w, m.h, m.theme)
			a := m.canvas.All()
			a.Text(1, 0, fmt.Sprintf("PayGate could not draw %s: %v", m.screens[m.at].Name(), p), paint.In(paint.Bad))
			a.Text(1, 1, "Another view, another size or ctrl+l draws again. The gateway is not touched.", paint.Style{})
			out = m.canvas.String()
		}
	}()
	m.canvas.Reset(m.w, m.h, m.theme)
	m.draw(m.canvas.All())
	return m.canvas.String()
}

// Crash is what went wrong in the last drawing that failed, with its stack.
func (m *Model) Crash() string { return m.crash }

// Leaves says how the dashboard wants to end.
func (m *Model) Leaves() Exit { return m.exit }
