//go:build !race

package tui_test

const detector = 1
