package form

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"time"
)

func (r view) csv() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	rows := [][]string{{"id", "name", "live", "candidate", "change", "admitted", "denied", "newlyDenied", "firstDeniedAt", "stoppedBy", "tool"}}
	for _, k := range r.Exact.Keys {
		first := ""
		if k.FirstDeniedAt != nil {
			first = k.FirstDeniedAt.Format(time.RFC3339Nano)
		}
		n := func(v int64) string { return strconv.FormatInt(v, 10) }
		rows = append(rows, []string{plain(k.ID), plain(k.Name), n(int64(k.Live)), n(int64(k.Candidate)), n(int64(k.Candidate - k.Live)),
			n(int64(k.Admitted)), n(int64(k.Denied)), n(int64(k.NewlyDenied)), first, k.StoppedBy, plain(k.Tool)})
	}
	if err := w.WriteAll(rows); err != nil {
		return nil, fmt.Errorf("report of %s: %w", r.Name, err)
	}
	return b.Bytes(), nil
}

func plain(s string) string {
	if strings.IndexAny(s, "=+-@\t\r") == 0 {
		return "'" + s
	}
	return s
}
