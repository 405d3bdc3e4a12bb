//go:build !linux

package server

// Calm has nothing to do here.
func Calm() {}
