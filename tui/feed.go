package tui

import (
	"encoding/json"
	"errors"
	"time"

	"paygate/server/api"
)

// frameMsg tells the screens that a new frame of the live stream is in.
type frameMsg struct{ *api.Live }

// feed is the one reducer of the live stream.
type feed struct {
	live   *api.Live // the last frame; never nil once one came
	at     time.Time // when it came
	since  time.Time // link lost since; zero while it stands
	err    error
	window int // seconds of the Overview
	filter string
	seen   int // frames
}

// take reads a frame; ok is false when it is not one.
func (f *feed) take(data []byte, now time.Time) (frameMsg, bool) {
	live := &api.Live{}
	if err := json.Unmarshal(data, live); err != nil {
		f.err = errors.New("the gateway sent a frame that could not be read: " + err.Error())
		return frameMsg{}, false
	}
	f.live, f.at, f.since, f.err = live, now, time.Time{}, nil
	f.seen++
	return frameMsg{live}, true
}

func (f *feed) lost(now time.Time, err error) {
	if f.since.IsZero() {
		f.since = now
	}
	f.err = err
	if f.err == nil {
		f.err = errors.New("the gateway closed the stream")
	}
}

// down says whether the link is lost.
func (f *feed) down(time.Time) bool { return !f.since.IsZero() }

// moving says whether something on the screen counts time by itself.
func (f *feed) moving(time.Time) bool {
	if f.live == nil {
		return false
	}
	for i := range f.live.Servers {
		if f.live.Servers[i].NextTry != nil {
			return true
		}
	}
	return false
}

// shadow says whether the gateway charges nothing now.
func (f *feed) shadow() bool { return f.live != nil && f.live.Mode == "shadow" }

// viewer says whether the person may only look.
func (f *feed) viewer() bool { return f.live != nil && f.live.Role == "viewer" }

// frame is the last frame, or an empty one.
func (f *feed) frame() *api.Live {
	if f.live == nil {
		return &api.Live{}
	}
	return f.live
}
