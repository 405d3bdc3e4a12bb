package store

import (
	"os"
	"syscall"
)

// syncData waits until what was written is on disk; the file's times may not
// be.
func syncData(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err != syscall.EINTR {
			return err
		}
	}
}
