//go:build !linux

package main

import (
	"errors"
	"os"
	"os/exec"
	"sync/atomic"
)

type terminal struct {
	file    *os.File
	written atomic.Int64
}

func openTerminal(int, int) (*terminal, error) {
	return nil, errors.New("pseudo terminals are only opened on Linux here")
}

func (t *terminal) give(*exec.Cmd) {}
