package api

import "time"

// Past is a call of a demo's made-up history, which its gateway takes into its
// books.
type Past struct {
	Key    string // secret, alias or id
	Tool   string
	Run    string
	At     time.Time
	Took   time.Duration
	In     int64
	Out    int64
	Failed bool
}
