package api

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// WriteJSON answers with a value.
func WriteJSON(w http.ResponseWriter, r *http.Request, status int, out any) error {
	text, err := json.Marshal(out)
	if err != nil {
		return err
	}
	WriteText(w, r, status, text)
	return nil
}

// WriteText answers with JSON that is written already.
func WriteText(w http.ResponseWriter, r *http.Request, status int, text []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(text) // an error means that the client has gone
	}
}

// CSVHeader says that a table to download follows.
func CSVHeader(w http.ResponseWriter, name string, at time.Time) {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", "paygate-"+name+"-"+at.UTC().Format(time.DateOnly)+".csv"))
}

// SafeCells defuses, in place, what a spreadsheet would read as a formula.
func SafeCells(row []string) []string {
	for i, cell := range row {
		if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
			if _, err := strconv.ParseFloat(cell, 64); err != nil {
				row[i] = "'" + cell
			}
		}
	}
	return row
}

// WriteCSV answers with a table to download that a spreadsheet can open: cells
// that would be read as formulas are defused.
func WriteCSV(w http.ResponseWriter, name string, at time.Time, rows [][]string) error {
	var b bytes.Buffer
	out := csv.NewWriter(&b)
	for _, row := range rows {
		if err := out.Write(SafeCells(row)); err != nil {
			return err
		}
	}
	out.Flush()
	CSVHeader(w, name, at)
	_, _ = w.Write(b.Bytes()) // an error means that the client has gone
	return nil
}
