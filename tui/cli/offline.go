package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// The commands that work on the files themselves.

// state adds the flags that say which state a command works on.
func (w *World) state(cmd *cobra.Command) *Wrap {
	s := &Wrap{Flags: map[string]string{}}
	dir := ""
	cmd.Flags().StringVarP(&s.File, "config", "c", "", "configuration file that names the state folder")
	cmd.Flags().StringVar(&dir, "state-dir", "", "state folder (default that of the gateway started here)")
	cmd.PreRun = func(*cobra.Command, []string) {
		switch {
		case dir != "":
			s.Flags["stateDir"] = jsonOf(dir)
		case s.File == "":
			s.File = w.ownFile()
		}
	}
	return s
}

func (w *World) validate() *cobra.Command {
	file := ""
	cmd := &cobra.Command{Use: "validate", Short: "Check a configuration file", Example: "  paygate validate --config paygate.json", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				file = ConfigFile
			}
			findings, bad, err := w.Validate(file)
			if err != nil {
				return err
			}
			for _, f := range findings {
				_, _ = fmt.Fprintln(w.Out, f)
			}
			if bad {
				return fmt.Errorf("%s has mistakes", file)
			}
			_, err = fmt.Fprintf(w.Out, "%s is fine\n", file)
			return err
		}}
	cmd.Flags().StringVarP(&file, "config", "c", "", "the file (default ./paygate.json)")
	return cmd
}

func (w *World) doctor() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{Use: "doctor", Short: "Prove the books: fold the whole journal anew and compare",
		Long: "doctor reads every block of the journal, checks the chain of hashes, folds every event anew and compares each balance, meter and window.\n" +
			"It exits with 0 only when all is well. Stop the gateway first.", Args: cobra.NoArgs}
	s := w.state(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return w.Doctor(cmd.Context(), *s, asJSON) }
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (w *World) backup() *cobra.Command {
	to := ""
	cmd := &cobra.Command{Use: "backup", Short: "Write a backup of the state", Example: "  paygate backup --to monday.backup", Args: cobra.NoArgs}
	s := w.state(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if to == "" {
			return usage("say where: --to FILE")
		}
		if err := w.Backup(cmd.Context(), *s, to); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w.Out, "backed up to %s; it holds no secrets in the clear, only their hashes\n", to)
		return err
	}
	cmd.Flags().StringVar(&to, "to", "", "file to write; it must not exist")
	return cmd
}

func (w *World) restore() *cobra.Command {
	from := ""
	cmd := &cobra.Command{Use: "restore", Short: "Make a state of a backup", Example: "  paygate restore --from monday.backup --state-dir restored", Args: cobra.NoArgs}
	s := w.state(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if from == "" {
			return usage("say which backup: --from FILE")
		}
		if err := w.Restore(cmd.Context(), *s, from); err != nil {
			return err
		}
		_, err := fmt.Fprintln(w.Out, "restored; \"paygate doctor\" proves it")
		return err
	}
	cmd.Flags().StringVar(&from, "from", "", "the backup")
	return cmd
}

func (w *World) compact() *cobra.Command {
	cmd := &cobra.Command{Use: "compact", Short: "Give the space that the state no longer needs back to the disk", Args: cobra.NoArgs}
	s := w.state(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return w.Compact(cmd.Context(), *s) }
	return cmd
}

func (w *World) admin() *cobra.Command {
	cmd := &cobra.Command{Use: "admin", Short: "Replace a lost admin key"}
	reset := &cobra.Command{Use: "reset", Short: "Replace a lost admin key, with the gateway stopped", Args: cobra.NoArgs}
	s := w.state(reset)
	reset.RunE = func(cmd *cobra.Command, _ []string) error {
		key, err := w.Reset(cmd.Context(), *s)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w.Out, "new admin key, shown only now: %s\nthe old one no longer works\n", key)
		return err
	}
	cmd.AddCommand(reset)
	return cmd
}

func (w *World) demo() *cobra.Command {
	s, port := Wrap{}, "0"
	cmd := &cobra.Command{Use: "demo", Short: "See it all at work: a demo server, simulated agents, the gateway and its dashboard",
		Example: "  paygate demo\n  paygate demo --port 3402 --headless", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkTheme(s.Theme); err != nil {
				return err
			}
			s.Headless = s.Headless || !w.Terminal
			return w.Demo(cmd.Context(), s, port)
		}}
	w.showing(cmd.Flags(), &s)
	cmd.Flags().StringVar(&port, "port", "0", "port (default: a free one)")
	return cmd
}

func (w *World) demoTool() *cobra.Command {
	return &cobra.Command{Use: "demo-server", Short: "The demo's MCP server, over stdio", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return w.DemoTool(cmd.Context()) }}
}

func (w *World) initialize() *cobra.Command {
	file := ConfigFile
	cmd := &cobra.Command{Use: "init", Short: "Write a configuration file to begin with", Example: "  paygate init\n  paygate init --config shop/paygate.json",
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := os.Stat(file); err == nil {
				return fmt.Errorf("%s is there already; remove it, or name another with --config", file)
			}
			if other := besides(file); other != "" {
				return fmt.Errorf("%s is there already; remove it first, or one of the two would be forgotten", other)
			}
			a := answers{command: []string{"npx", "-y", "@modelcontextprotocol/server-filesystem", "."}, price: 1}
			if w.Terminal {
				var err error
				if a, err = w.questions(cmd.Context(), file, "Write"); err != nil {
					return err
				}
			}
			if err := writeConfig(file, a); err != nil {
				return err
			}
			start := "paygate"
			if file != ConfigFile {
				start += " --config " + file
			}
			w.say("wrote %s; \"%s\" starts with it", file, start)
			return nil
		}}
	cmd.Flags().StringVarP(&file, "config", "c", ConfigFile, "the file")
	return cmd
}
