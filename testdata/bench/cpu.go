package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Calls a second depend on what else the machine does; the processor time of a
// call hardly does. It is read from /proc, so it is only shown on Linux.

// used is the processor time that the three sides of a measurement have had:
// this process, which makes the load, the process under test, and its children.
type used struct{ load, tested, children time.Duration }

func (t target) used() used {
	u := used{load: cpuOf(os.Getpid()), tested: cpuOf(t.pid)}
	if t.also != 0 {
		u.tested += cpuOf(t.also)
	}
	for _, pid := range childrenOf(t.pid) {
		u.children += cpuOf(pid)
	}
	return u
}

func (u used) since(before used) used {
	return used{u.load - before.load, u.tested - before.tested, u.children - before.children}
}

func (u used) all() time.Duration { return u.load + u.tested + u.children }

// each is the share of one of n calls.
func (u used) each(n int) used {
	d := time.Duration(max(n, 1))
	return used{u.load / d, u.tested / d, u.children / d}
}

func (u used) String() string {
	us := microseconds
	return fmt.Sprintf("CPU a call %5.1f µs (load %4.1f, tested %5.1f, child %4.1f)", us(u.all()), us(u.load), us(u.tested), us(u.children))
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// cpuOf is the user and system time of a process so far.
func cpuOf(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(stat, []byte(") ")) // the name may hold blanks
	fields := bytes.Fields(rest)
	const utime, stime, tick = 11, 12, 10 * time.Millisecond
	if len(fields) <= stime {
		return 0
	}
	var ticks int64
	for _, f := range fields[utime : stime+1] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * tick
}

func childrenOf(pid int) []int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	threads, globErr := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil || globErr != nil {
		return nil
	}
	for _, t := range threads { // a child belongs to the thread that started it
		if t.Name() == strconv.Itoa(pid) {
			continue
		}
		if more, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name())); err == nil {
			text = append(append(text, ' '), more...)
		}
	}
	var pids []int
	for _, f := range bytes.Fields(text) {
		if n, err := strconv.Atoi(string(f)); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}
