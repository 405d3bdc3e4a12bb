//go:build unix

package tui

import (
	"os"

	"golang.org/x/sys/unix"
)

// elsewhere says whether a terminal belongs to other processes than this one's
// group: whoever started us was killed, and its shell has taken it back.
func elsewhere(terminal *os.File) bool {
	group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err == nil && group != unix.Getpgrp()
}
