package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// LogFile is where a gateway in the background writes its log, in its state
// folder.
const LogFile = "paygate.log"

// detach starts the same command in the background and returns when it serves.
func (w *World) detach(ctx context.Context, dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(dir, LogFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child has its own
	if url := Running(ctx, dir); url != "" {
		return fmt.Errorf("this gateway runs already, at %s: \"paygate attach\" shows it", url)
	}
	address := filepath.Join(dir, AddressFile)
	if err := os.Remove(address); err != nil && !errors.Is(err, fs.ErrNotExist) { // one that was killed could not
		return err
	}
	args := slices.DeleteFunc(slices.Clone(w.Args), func(a string) bool { return a == "--detach" || a == "--detach=true" })
	cmd := exec.Command(self, append(args, "--headless")...)
	cmd.Env, cmd.Stdout, cmd.Stderr = w.Env, log, log
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("%s (%w)", lastLine(filepath.Join(dir, LogFile)), err)
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if url, err := os.ReadFile(address); err == nil {
			w.say("serving at %s/mcp, process %d, log %s\n\"paygate attach\" opens the dashboard; kill %d stops it", strings.TrimSpace(string(url)), cmd.Process.Pid, filepath.Join(dir, LogFile), cmd.Process.Pid)
			return nil
		}
	}
}

// lastLine is what a gateway said before it ended.
func lastLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], "paygate: ")
}
