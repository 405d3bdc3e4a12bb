package upstream

import (
	"os/exec"
	"syscall"
)

// prepare gives the child a process group of its own and has the system end
// it when the gateway dies, however it dies.
func prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
