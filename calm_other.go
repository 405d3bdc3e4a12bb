//go:build !linux

package main

// calm has nothing to do here.
func calm() {}
