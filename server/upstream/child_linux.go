package upstream

import (
	"os/exec"
	"syscall"
)

// prepare gives the child a process group of its own and has the system end
// it when the gateway dies, however it dies. How exactly it is woken is its own
// business, whatever the gateway has chosen for itself: it inherits that of the
// thread that starts it, which is this one.
func prepare(cmd *exec.Cmd) {
	const setTimerSlack, usual = 29, 50_000 // ns
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setTimerSlack, usual, 0)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
