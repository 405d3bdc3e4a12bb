package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"charm.land/huh/v2"
)

// answers are what the first run has asked.
type answers struct {
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

// wizard is the first run: it asks what to put a price on, writes the file at
// the end, and starts. Nothing is written before.
func (w *World) wizard(ctx context.Context, file string) error {
	what, command, url, price, mode, start := byCommand, "npx -y @modelcontextprotocol/server-filesystem .", "", "1", "shadow", true
	found := findServers(w.home())
	options := []huh.Option[string]{huh.NewOption("A command that starts an MCP server", byCommand), huh.NewOption("The URL of one that runs", byURL)}
	for i, f := range found {
		options = append(options, huh.NewOption(fmt.Sprintf("%s, from %s", f.name, f.file), strconv.Itoa(i)))
	}
	options = append(options, huh.NewOption("The demo, to look around", byDemo))
	form := huh.NewForm(
		huh.NewGroup(huh.NewSelect[string]().Title("What shall have a price?").Options(options...).Value(&what)),
		huh.NewGroup(huh.NewInput().Title("Command").Description("as you would type it in a shell").Value(&command).Validate(func(s string) error {
			words, err := w.Split(s)
			if err != nil {
				return err
			}
			return w.Find(words[0])
		})).WithHideFunc(func() bool { return what != byCommand }),
		huh.NewGroup(huh.NewInput().Title("URL").Placeholder("https://mcp.example.com/mcp").Value(&url).Validate(aURL)).WithHideFunc(func() bool { return what != byURL }),
		huh.NewGroup(
			huh.NewSelect[string]().Title("Should calls cost something from the start?").Options(
				huh.NewOption("Shadow   watch real calls and see what they would cost; nothing is charged", "shadow"),
				huh.NewOption("Live     charge from the first call; a key without credits is refused", "live")).Value(&mode),
			huh.NewInput().Title("Credits for a call").Description("of a tool without a price of its own").Value(&price).Validate(aPrice),
			huh.NewConfirm().Title("Write "+file+" and start?").Description("nothing has been written yet").Affirmative("Start").Negative("Leave").Value(&start),
		).WithHideFunc(func() bool { return what == byDemo }),
	).WithInput(w.In).WithOutput(w.Out).WithAccessible(w.env("ACCESSIBLE") != "")
	if err := form.RunWithContext(ctx); err != nil {
		if errors.Is(err, huh.ErrUserAborted) {
			return context.Canceled
		}
		return err
	}
	if what == byDemo {
		return w.Demo(ctx, false, "0")
	}
	if !start {
		return nil
	}
	a := answers{shadow: mode == "shadow"}
	a.command, _ = w.Split(command)              // the form has split it before
	a.price, _ = strconv.ParseInt(price, 10, 64) // aPrice has read it
	switch i, err := strconv.Atoi(what); {
	case err == nil:
		a.command, a.url, a.env = found[i].command, found[i].url, found[i].env
	case what == byURL:
		a.command, a.url = nil, url
	}
	if err := writeConfig(file, a); err != nil {
		return err
	}
	return w.Wrap(ctx, Wrap{File: file, First: true})
}

func aURL(s string) error {
	if strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") {
		return nil
	}
	return errors.New("a URL begins with http:// or https://")
}

func aPrice(s string) error {
	if n, err := strconv.ParseInt(s, 10, 64); err != nil || n < 0 || n > 1_000_000_000 {
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

// known is a server that another program's configuration names.
type known struct {
	name, file string
	command    []string
	url        string
	env        map[string]string
}

// findServers looks into the configurations of clients that people have.
func findServers(home string) []known {
	files := []string{".mcp.json", filepath.Join(".cursor", "mcp.json"), filepath.Join(".vscode", "mcp.json")}
	if home != "" {
		files = append(files, filepath.Join(home, ".cursor", "mcp.json"))
		switch runtime.GOOS {
		case "darwin":
			files = append(files, filepath.Join(home, "Library", "Application Support", "Claude", "claude_desktop_config.json"))
		case "windows":
			files = append(files, filepath.Join(home, "AppData", "Roaming", "Claude", "claude_desktop_config.json"))
		default:
			files = append(files, filepath.Join(home, ".config", "Claude", "claude_desktop_config.json"))
		}
	}
	var out []known
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			out = append(out, serversIn(file, text)...)
		}
	}
	return out
}

// serversIn reads "mcpServers" (or "servers", as VS Code calls them).
func serversIn(file string, text []byte) []known {
	type entry struct {
		Command string
		Args    []string
		URL     string
		Env     map[string]string
	}
	var config struct {
		MCPServers map[string]entry `json:"mcpServers"`
		Servers    map[string]entry `json:"servers"`
	}
	if json.Unmarshal(text, &config) != nil {
		return nil
	}
	var out []known
	for _, servers := range []map[string]entry{config.MCPServers, config.Servers} {
		for _, name := range sortedNames(servers) {
			s := servers[name]
			if s.Command == "" && s.URL == "" || s.Command == "paygate" {
				continue
			}
			out = append(out, known{name: name, file: file, command: append([]string{s.Command}, s.Args...), url: s.URL, env: s.Env})
		}
	}
	return out
}

func sortedNames[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
