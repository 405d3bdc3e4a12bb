//go:build unix

package upstream

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
)

// group is a child's process group, named by the child's pid.
type group int

func adopt(p *os.Process) (group, error) { return group(p.Pid), nil }

// The errors say that nothing is left to signal.
func (g group) terminate() { _ = syscall.Kill(-int(g), syscall.SIGTERM) }
func (g group) kill()      { _ = syscall.Kill(-int(g), syscall.SIGKILL) }

// guard is a tiny shell that outlives the gateway by a moment: when the pipe
// to it breaks, it ends every process group still on its list. So even after
// kill -9 not only the children go, but also what they started. Where there is
// no shell, the children's own end must do.
type guard struct {
	mu  sync.Mutex
	cmd *exec.Cmd
	w   *os.File
}

const guardScript = `trap '' INT TERM HUP
all=
while read -r op pid; do
	rest=
	for p in $all; do [ "$p" = "$pid" ] || rest="$rest $p"; done
	all=$rest
	[ "$op" = + ] && all="$all $pid"
done
for p in $all; do kill -s KILL -- "-$p" 2>/dev/null; done`

func newGuard() *guard {
	r, w, err := os.Pipe()
	if err != nil {
		return &guard{}
	}
	defer func() { _ = r.Close() }() // the shell has its own
	cmd := exec.Command("/bin/sh", "-c", guardScript)
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if cmd.Start() != nil {
		_ = w.Close() // nothing was written
		return &guard{}
	}
	return &guard{cmd: cmd, w: w}
}

func (g *guard) watch(pid int)  { g.tell("+ ", pid) }
func (g *guard) forget(pid int) { g.tell("- ", pid) }

func (g *guard) tell(op string, pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.w == nil {
		return
	}
	var b bytes.Buffer
	b.WriteString(op + strconv.Itoa(pid) + "\n")
	_, _ = g.w.Write(b.Bytes()) // a shell that somebody killed guards nothing, and that is all it did
}

// close is called when no child is left.
func (g *guard) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.w == nil {
		return
	}
	_ = g.w.Close()
	_ = g.cmd.Wait() // its exit code says nothing
	g.w = nil
}
