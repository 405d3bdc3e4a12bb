//go:build !linux

package store

import "os"

// openSynced opens a file for writes that are on disk when they return.
func openSynced(path string) (*os.File, error) { return os.OpenFile(path, os.O_RDWR|os.O_SYNC, 0) }
