package upstream

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// child is a running MCP server and all it started: it has a process group
// (on Windows a job) of its own, which ends as a whole.
type child struct {
	name  string
	cmd   *exec.Cmd
	group group
	in    *os.File // its standard input
	out   *os.File // its standard output
	since time.Time
	tail  *tail
	done  chan struct{} // closed once the process is gone and reaped
	state string        // how it ended; read after done
	asked chan struct{} // closed when the gateway itself ends it
	once  sync.Once
	grace time.Duration
}

// nursery starts children. All are started from one locked thread that lives
// as long as the nursery: Linux ends a child with the thread that started it.
type nursery struct {
	opt   *Options
	start chan func()
	wg    sync.WaitGroup
	guard *guard

	mu       sync.Mutex
	children map[*child]struct{}
	closed   bool
}

func newNursery(opt *Options) *nursery {
	n := &nursery{opt: opt, start: make(chan func()), children: map[*child]struct{}{}}
	n.wg.Go(func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		for f := range n.start {
			f()
		}
	})
	return n
}

// spawn starts the server of spec. Who owns t owns the child.
func (n *nursery) spawn(spec *Spec, t *tail) (*child, error) {
	if err := findCommand(spec); err != nil {
		return nil, err
	}
	c := &child{name: spec.label(), tail: t, done: make(chan struct{}), asked: make(chan struct{}), grace: n.opt.Limits.Grace, since: n.opt.Now()}
	c.cmd = exec.Command(spec.Command, spec.Args...)
	c.cmd.Dir = spec.Dir
	c.cmd.Env = environ(n.opt.Environ, spec.Env)
	if spec.Dir != "" {
		c.cmd.Env = append(c.cmd.Env, "PWD="+spec.Dir)
	}
	theirs, stderr, err := c.pipes()
	if err != nil {
		return nil, fmt.Errorf("%s: pipes for the server: %w", c.name, err)
	}
	err = n.run(c)
	for _, f := range theirs {
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		_ = errors.Join(c.in.Close(), c.out.Close(), stderr.Close()) // nothing was written yet
		return nil, fmt.Errorf("%s: the server cannot be started: %w", c.name, err)
	}
	pid := c.cmd.Process.Pid
	drained := make(chan struct{})
	go func() {
		t.drain(stderr, pid)
		close(drained)
	}()
	go n.reap(c, stderr, drained)
	return c, nil
}

// pipes makes the three pipes and returns the child's ends and our end of its
// standard error.
func (c *child) pipes() (theirs []*os.File, stderr *os.File, err error) {
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, nil, errors.Join(err, inR.Close(), inW.Close())
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		return nil, nil, errors.Join(err, inR.Close(), inW.Close(), outR.Close(), outW.Close())
	}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = inR, outW, errW
	c.in, c.out = inW, outR
	return []*os.File{inR, outW, errW}, errR, nil
}

// run starts c on the nursery's thread.
func (n *nursery) run(c *child) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return ErrClosed
	}
	if n.guard == nil {
		n.guard = newGuard()
	}
	result := make(chan error)
	n.start <- func() {
		prepare(c.cmd)
		err := c.cmd.Start()
		if err == nil {
			c.group, err = adopt(c.cmd.Process)
		}
		result <- err
	}
	err := <-result
	if err == nil {
		n.guard.watch(c.cmd.Process.Pid)
		n.children[c] = struct{}{}
	}
	return err
}

// reap waits for the child, ends what it left behind, and says how it ended.
func (n *nursery) reap(c *child, stderr *os.File, drained chan struct{}) {
	err := c.cmd.Wait()
	c.group.kill() // grandchildren
	n.guard.forget(c.cmd.Process.Pid)
	select {
	case <-drained:
	case <-time.After(200 * time.Millisecond): // something outside the group still holds the pipe
	}
	_ = stderr.Close() // only read from
	<-drained
	c.state = howItEnded(err)
	n.mu.Lock()
	delete(n.children, c)
	n.mu.Unlock()
	close(c.done)
}

func howItEnded(err error) string {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "exited with code 0"
	case errors.As(err, &exit) && exit.Exited():
		return fmt.Sprintf("exited with code %d", exit.ExitCode())
	default:
		return "was ended (" + err.Error() + ")"
	}
}

func (c *child) pid() int { return c.cmd.Process.Pid }

func (c *child) gone() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// end asks the child to go (its input closes, then SIGTERM) and makes it go
// when the grace is over. It returns when the child is gone.
func (c *child) end() {
	c.once.Do(func() {
		close(c.asked)
		_ = c.in.Close() // it may be gone already
	})
	half := time.NewTimer(c.grace / 2)
	defer half.Stop()
	select {
	case <-c.done:
		return
	case <-half.C:
		c.group.terminate()
	}
	full := time.NewTimer(c.grace / 2)
	defer full.Stop()
	select {
	case <-c.done:
	case <-full.C:
		c.group.kill()
		<-c.done
	}
}

// close ends all children that are left, and the thread that started them.
func (n *nursery) close() {
	n.mu.Lock()
	left := make([]*child, 0, len(n.children))
	for c := range n.children {
		left = append(left, c)
	}
	already := n.closed
	n.closed = true
	n.mu.Unlock()
	var wg sync.WaitGroup
	for _, c := range left {
		wg.Go(c.end)
	}
	wg.Wait()
	if already {
		return
	}
	if n.guard != nil {
		n.guard.close()
	}
	close(n.start)
	n.wg.Wait()
}

// pids are the processes started for the server that owns t.
func (n *nursery) pids(t *tail) []int {
	n.mu.Lock()
	defer n.mu.Unlock()
	var pids []int
	for c := range n.children {
		if c.tail == t {
			pids = append(pids, c.pid())
		}
	}
	slices.Sort(pids)
	return pids
}

// kill ends all children at once, without grace.
func (n *nursery) kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.children {
		c.group.kill()
	}
}

// findCommand tells a missing program from other trouble, with what to do.
func findCommand(spec *Spec) error {
	_, err := exec.LookPath(program(spec))
	if err == nil || errors.Is(err, exec.ErrDot) {
		return nil
	}
	todo := "check the spelling, or give its full path"
	switch filepath.Base(spec.Command) {
	case "npx", "node", "npm":
		todo = "install Node.js (https://nodejs.org), or give the full path of " + spec.Command
	case "uvx", "uv":
		todo = "install uv (https://docs.astral.sh/uv), or give the full path of " + spec.Command
	case "docker":
		todo = "install Docker, or give the full path of docker"
	}
	return fmt.Errorf("%s: %w: %q (%w); %s", spec.label(), ErrCommandNotFound, spec.Command, err, todo)
}

// program is where the command stands, seen from here: a path with a slash is
// relative to the child's directory.
func program(spec *Spec) string {
	if spec.Dir != "" && strings.ContainsRune(spec.Command, filepath.Separator) && !filepath.IsAbs(spec.Command) {
		return filepath.Join(spec.Dir, spec.Command)
	}
	return spec.Command
}

// environ is what a child inherits: everything but what is the gateway's own.
func environ(base []string, add map[string]string) []string {
	env := make([]string, 0, len(base)+len(add))
	for _, kv := range base {
		name, _, _ := strings.Cut(kv, "=")
		if _, replaced := add[name]; !replaced && !ours(name) {
			env = append(env, kv)
		}
	}
	names := make([]string, 0, len(add))
	for name := range add {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		env = append(env, name+"="+add[name])
	}
	return env
}

// ours says whether a variable is meant for the gateway and not its children.
func ours(name string) bool {
	name = strings.ToUpper(name)
	return strings.HasPrefix(name, "PAYGATE_") ||
		slices.Contains([]string{"CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID"}, name)
}
