//go:build linux

// Package terminal is a pseudo terminal of the kernel, for what wants to look
// at a program as a person does. It is Linux's only.
package terminal

import (
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// Terminal has two sides: a program runs on Theirs, and Ours is the keyboard
// and the screen.
type Terminal struct{ Ours, Theirs *os.File }

// Open makes a terminal of a size.
func Open(w, h int) (*Terminal, error) {
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, err
	}
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err != nil {
		return nil, err
	}
	theirs, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	t := &Terminal{Ours: ours, Theirs: theirs}
	return t, t.Size(w, h)
}

// Size changes the size; who runs there is told by SIGWINCH, not by this.
func (t *Terminal) Size(w, h int) error {
	return unix.IoctlSetWinsize(int(t.Ours.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(w), Row: uint16(h)})
}

// Give makes the terminal a command's. It stays in our session: the scheduler
// shares the processors between sessions, which a measurement would see.
func (t *Terminal) Give(cmd *exec.Cmd) {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = t.Theirs, t.Theirs, t.Theirs
}
