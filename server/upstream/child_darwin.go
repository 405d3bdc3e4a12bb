package upstream

import (
	"os/exec"
	"syscall"
)

// prepare gives the child a process group of its own. The guard ends it when
// the gateway dies: there is no death signal here.
func prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}
