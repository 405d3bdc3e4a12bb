package cli

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// ConfigFile is what paygate looks for when it is started without a command,
// and what it writes; the other two are found too.
const ConfigFile = "paygate.json"

func configFiles() []string { return []string{ConfigFile, "paygate.yaml", "paygate.yml"} }

func (w *World) root() *cobra.Command {
	s := Wrap{}
	port := ""
	root := &cobra.Command{
		Use:   "paygate",
		Short: "Put a price on any MCP server",
		Long: "PayGate stands between agents and an MCP server: it checks each agent's API key, charges its credits for every call,\n" +
			"and shows in this terminal what happens. Without a command it starts with ./paygate.json, and asks what to serve where there is none.",
		Example: "  paygate\n" +
			"  paygate demo\n" +
			"  paygate wrap --server \"npx -y @modelcontextprotocol/server-filesystem .\" --price 2\n" +
			"  paygate keys create --name first --credits 100",
		SilenceUsage: true, SilenceErrors: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if port != "" {
				s.Flags = map[string]string{"port": port}
			}
			return w.first(cmd.Context(), s)
		},
	}
	root.Flags().StringVarP(&s.File, "config", "c", "", "configuration file (default ./paygate.json or ./paygate.yaml)")
	root.Flags().StringVar(&port, "port", "", "port (default 3402)")
	w.starting(root.Flags(), &s)
	grouped := func(id, title string, cmds ...*cobra.Command) {
		root.AddGroup(&cobra.Group{ID: id, Title: title})
		for _, cmd := range cmds {
			cmd.GroupID = id
		}
		root.AddCommand(cmds...)
	}
	grouped("serve", "Serve", w.wrap(), w.demo(), w.initialize(), w.validate())
	grouped("manage", "Watch and manage a running gateway", w.attach(), w.calls(), w.credits(), w.keys(), w.logs(), w.mode(), w.prices(), w.servers(), w.shadow())
	grouped("call", "Call", w.call(), w.connect())
	grouped("state", "Look after its state", w.doctor(), w.backup(), w.restore(), w.compact(), w.admin())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%v; see \"%s --help\" (what begins with - and is no flag stands behind --)", err, cmd.CommandPath())
	})
	grouped("more", "More", w.version(), w.demoTool())
	root.SetHelpCommandGroupID("more")
	root.SetCompletionCommandGroupID("more")
	return root
}

// starting adds the flags that say how a gateway starts and shows itself.
func (w *World) starting(fs *pflag.FlagSet, s *Wrap) {
	fs.BoolVar(&s.Detach, "detach", false, "start in the background; \"paygate attach\" finds it")
	fs.BoolVar(&s.DryRun, "dry-run", w.isSet("PAYGATE_DRY_RUN"), "discover the tools, print what they would cost, and end")
	w.showing(fs, s)
}

// showing adds the flags that say how a gateway shows itself. Each may also be
// set by a variable.
func (w *World) showing(fs *pflag.FlagSet, s *Wrap) {
	fs.BoolVar(&s.Headless, "headless", w.isSet("PAYGATE_HEADLESS"), "no dashboard: log lines")
	w.drawing(fs, s)
}

// drawing adds the flags that say how a dashboard is drawn.
func (w *World) drawing(fs *pflag.FlagSet, s *Wrap) {
	fs.BoolVar(&s.ASCII, "ascii", w.isSet("PAYGATE_ASCII"), "draw the dashboard without characters beyond ASCII")
	fs.StringVar(&s.Theme, "theme", w.env("PAYGATE_THEME"), "colours of the dashboard: dark or light (default: ask the terminal)")
}

func (w *World) isSet(name string) bool {
	on, err := strconv.ParseBool(w.env(name))
	return on && err == nil
}

func checkTheme(theme string) error {
	if theme != "" && theme != "dark" && theme != "light" {
		return usage("--theme %q is neither dark nor light", theme)
	}
	return nil
}

// first is paygate without a command: it starts with the file that is there,
// or asks what to put a price on.
func (w *World) first(ctx context.Context, s Wrap) error {
	named := first(s.File, w.env("PAYGATE_CONFIG"))
	s.First = true
	if s.File = first(named, w.ownFile()); s.File != "" {
		return w.start(ctx, s)
	}
	if s.Headless || s.Detach || s.DryRun || !w.Terminal {
		why := "there is no " + ConfigFile + " here"
		if !w.Terminal {
			why += " and no terminal to ask at"
		}
		return usage("%s; say what to serve with \"paygate wrap --server COMMAND\", or write the file with \"paygate init\"", why)
	}
	return w.wizard(ctx, s)
}

// start starts a gateway, here or in the background.
func (w *World) start(ctx context.Context, s Wrap) error {
	if err := checkTheme(s.Theme); err != nil {
		return err
	}
	if s.Detach {
		return w.detach(ctx, w.StateDir(s))
	}
	s.Headless = s.Headless || !w.Terminal
	return w.Wrap(ctx, s)
}

// ownFile is the configuration file that is used when none is named; "" if
// there is none.
func (w *World) ownFile() string {
	if w.env("PAYGATE_CONFIG") != "" {
		return ""
	}
	for _, file := range configFiles() {
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	return ""
}

// besides is another configuration file in the folder of one that is to be
// written; "" if there is none.
func besides(file string) string {
	for _, other := range configFiles() {
		path := filepath.Join(filepath.Dir(file), other)
		if _, err := os.Stat(path); err == nil && !strings.EqualFold(path, file) {
			return path
		}
	}
	return ""
}
