package store

import (
	"errors"
	"os"
	"syscall"
)

// openSynced opens a file for writes that are on disk when they return, past
// the system's cache where the file system can do that: it costs half.
func openSynced(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_DSYNC|syscall.O_DIRECT, 0)
	if errors.Is(err, syscall.EINVAL) {
		return os.OpenFile(path, os.O_RDWR|syscall.O_DSYNC, 0)
	}
	return f, err
}
