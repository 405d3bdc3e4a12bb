package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paygate/tui/cli"
)

// start runs paygate in a folder that has some files and gives what was to be
// served, if anything, the exit code and what was said.
func start(t *testing.T, env, files []string, args ...string) (*cli.Wrap, int, string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, file := range files {
		if err := os.WriteFile(filepath.Clean(file), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said bytes.Buffer
	var served *cli.Wrap
	w := &cli.World{Args: args, Env: env, In: strings.NewReader(""), Out: &said, Err: &said, Now: time.Now, Version: "test",
		Wrap: func(_ context.Context, w cli.Wrap) error { served = &w; return nil }, Exit: func(error) int { return cli.ExitError },
		Split: func(line string) ([]string, error) { return strings.Fields(line), nil }}
	code := cli.Run(t.Context(), w)
	return served, code, said.String()
}

func TestPaygateAloneStartsWithTheFileThatIsThere(t *testing.T) {
	for _, file := range []string{"paygate.json", "paygate.yaml"} {
		got, code, said := start(t, nil, []string{file}, "--headless", "--port", "8080")
		if code != cli.ExitOK || got == nil || got.File != file || !got.Headless || got.Flags["port"] != "8080" {
			t.Errorf("with %s it served %+v, exit code %d: %s", file, got, code, said)
		}
	}
	if got, code, said := start(t, []string{"PAYGATE_CONFIG=other.json"}, []string{"paygate.json", "other.json"}); code != cli.ExitOK || got == nil || got.File != "other.json" {
		t.Errorf("the file that a variable names was not used: %+v, exit code %d: %s", got, code, said)
	}
}

func TestPaygateAloneSaysWhatToDoWhereThereIsNoFile(t *testing.T) {
	for _, args := range [][]string{nil, {"--headless"}, {"--detach"}} {
		got, code, said := start(t, nil, nil, args...)
		if got != nil || code != cli.ExitUsage || strings.Count(said, "\n") != 1 || !strings.Contains(said, "paygate wrap --server") {
			t.Errorf("paygate %v: exit code %d: %q", args, code, said)
		}
	}
}

func TestHowItShowsItselfMayBeAVariable(t *testing.T) {
	got, code, said := start(t, []string{"PAYGATE_HEADLESS=1", "PAYGATE_ASCII=true", "PAYGATE_THEME=light"}, nil, "wrap", "--server", "true")
	if code != cli.ExitOK || got == nil || !got.Headless || !got.ASCII || got.Theme != "light" {
		t.Errorf("got %+v, exit code %d: %s", got, code, said)
	}
	if _, code, said := start(t, nil, nil, "wrap", "--server", "true", "--theme", "pink"); code != cli.ExitUsage || !strings.Contains(said, "neither dark nor light") {
		t.Errorf("a theme that there is not: exit code %d: %s", code, said)
	}
}
