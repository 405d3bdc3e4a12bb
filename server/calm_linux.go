package server

import "os"

// Calm lets the system wake this process's threads up to a millisecond late
// when they only sleep for a while.
//
// Go's runtime has a thread that looks after the others every 20 µs as long as
// some of them stand in slow system calls, as the writer of the books does in
// every sync to disk. Left alone, it wakes 14,000 times a second, takes the
// processor away from each of those calls and has them queue for it again: a
// fifth of what a call costs under load. A sync is over in less time than that
// thread now sleeps; one that is not is still taken care of. Nothing else in
// the gateway waits for less than a millisecond, and servers are started
// without this.
//
// Where it cannot be set, only speed is lost.
func Calm() {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range threads {
		_ = os.WriteFile("/proc/"+t.Name()+"/timerslack_ns", []byte("1000000"), 0)
	}
}
