//go:build race

package tui_test

// detector is how many times slower the race detector makes what is measured.
const detector = 4
