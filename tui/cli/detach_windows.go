package cli

import (
	"os/exec"
	"syscall"
)

const detachedProcess = 0x00000008 // CreateProcess: no console

// ownGroup lets a process outlive the terminal it was started from.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP | detachedProcess}
}
