//go:build unix

package cli

import (
	"os/exec"
	"syscall"
)

// ownGroup lets a process outlive the terminal it was started from.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
