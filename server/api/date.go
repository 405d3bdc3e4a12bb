package api

import (
	"fmt"
	"strings"
	"time"
)

// ParseDate reads a date as people and programs write it, in UTC where it does
// not say another zone.
func ParseDate(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02", "2006-01", "2006"} {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date such as 2026-03-01T12:00:00Z", text)
}

// DateOr is the date that a text says, or a default when it says none.
func DateOr(text string, def time.Time) time.Time {
	if t, err := ParseDate(text); err == nil {
		return t
	}
	return def
}
