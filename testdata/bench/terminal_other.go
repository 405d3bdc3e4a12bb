//go:build !linux

package main

import (
	"errors"
	"os/exec"
	"sync/atomic"
)

type screen struct{ written atomic.Int64 }

func openScreen(int, int) (*screen, error) {
	return nil, errors.New("pseudo terminals are only opened on Linux here")
}

func (s *screen) press(string) error { return nil }

func (s *screen) give(*exec.Cmd) {}
