package main

import (
	"os"
	"os/exec"
	"sync/atomic"

	pseudo "paygate/testdata/terminal"
)

// screen is a pseudo terminal that nobody looks at: it counts what is written
// to it.
type screen struct {
	*pseudo.Terminal
	written atomic.Int64
}

func openScreen(w, h int) (*screen, error) {
	t, err := pseudo.Open(w, h)
	if err != nil {
		return nil, err
	}
	s := &screen{Terminal: t}
	go s.count()
	return s, nil
}

func (s *screen) count() {
	buf := make([]byte, 64<<10)
	for {
		n, err := s.Ours.Read(buf)
		if err != nil {
			return
		}
		s.written.Add(int64(n))
	}
}

func (s *screen) press(key string) error {
	_, err := s.Ours.WriteString(key)
	return err
}

func (s *screen) give(cmd *exec.Cmd) {
	s.Give(cmd)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color")
}
