//go:build linux

// Readme makes pictures of a program in a terminal: it runs it on a pseudo
// terminal, presses keys, and draws what stands there then as SVG.
//
//	go run ./testdata/readme [-size 160x45] [-light] [-env NAME=value] [-after 3s] [-keys 5,v] -o lab.svg -- ./paygate demo
//
// Several pictures of one run are several pairs of -keys and -o.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/charmbracelet/x/vt"

	"paygate/testdata/terminal"
)

// shot is one picture: what to press before it, and where it goes.
type shot struct {
	keys []string
	file string
}

// list is a flag that may be repeated.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func main() {
	var keys, files, env list
	size, isLight := flag.String("size", "160x45", "columns and rows"), flag.Bool("light", false, "a light terminal")
	after := flag.Duration("after", 3*time.Second, "how long to wait before the first picture")
	flag.Var(&keys, "keys", "keys to press before a picture, with commas")
	flag.Var(&files, "o", "the picture")
	flag.Var(&env, "env", "variable of the program")
	flag.Parse()
	log.SetFlags(0)
	var w, h int
	if _, err := fmt.Sscanf(*size, "%dx%d", &w, &h); err != nil || flag.NArg() == 0 || len(files) == 0 {
		log.Fatal("usage: readme [-size 160x45] -o FILE -- PROGRAM [ARGUMENT…]")
	}
	var shots []shot
	for i, file := range files {
		s := shot{file: file}
		if i < len(keys) && keys[i] != "" {
			s.keys = strings.Split(keys[i], ",")
		}
		shots = append(shots, s)
	}
	if err := take(w, h, *isLight, env, *after, shots, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

// take runs a program and takes pictures of it.
func take(w, h int, isLight bool, env []string, after time.Duration, shots []shot, args []string) error {
	t, err := terminal.Open(w, h)
	if err != nil {
		return err
	}
	s := &screen{on: vt.NewEmulator(w, h), light: isLight}
	s.on.SetDefaultBackgroundColor(s.ground())
	cmd := exec.Command(args[0], args[1:]...)
	t.Give(cmd)
	cmd.Env = append(append(os.Environ(), "TERM=xterm-256color", "COLORTERM=truecolor", "LANG=C.UTF-8"), env...)
	if err := cmd.Start(); err != nil {
		return err
	}
	var readers sync.WaitGroup
	readers.Go(func() { s.answer(t.Ours) })
	readers.Go(func() { s.read(t.Ours) })
	time.Sleep(after)
	for _, shot := range shots {
		for _, key := range shot.keys {
			if err := press(t, key); err != nil {
				return err
			}
		}
		time.Sleep(time.Second)
		if err := os.WriteFile(shot.file, s.svg(), 0o644); err != nil {
			return err
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	_ = cmd.Wait() // it was told to stop
	_ = t.Theirs.Close()
	_ = t.Ours.Close()
	s.close()
	readers.Wait()
	return nil
}

// press types a key, or waits where a duration stands for one.
func press(t *terminal.Terminal, key string) error {
	if d, err := time.ParseDuration(key); err == nil && strings.HasSuffix(key, "s") {
		time.Sleep(d)
		return nil
	}
	named := map[string]string{"enter": "\r", "esc": "\x1b", "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D", "tab": "\t", "space": " ", "comma": ","}
	text, ok := named[key]
	if !ok {
		text = key
	}
	_, err := t.Ours.WriteString(text)
	time.Sleep(120 * time.Millisecond)
	return err
}
