package config

import (
	"fmt"
	"strings"
)

// Level says how bad a finding is.
type Level string

// Bad keeps the gateway from starting; Warning does not.
const (
	Bad     Level = "error"
	Warning Level = "warning"
)

// Diagnostic is one finding about the configuration.
type Diagnostic struct {
	File       string `json:"file,omitempty"`
	Line       int    `json:"line,omitempty"` // from 1; 0: not from a file
	Column     int    `json:"column,omitempty"`
	Field      string `json:"field"` // such as "toolPricing.read.creditsPerCall", "--port" or "PAYGATE_PORT"
	Message    string `json:"message"`
	Suggestion string `json:"suggestion,omitempty"`
	Level      Level  `json:"level"`
}

func (d Diagnostic) String() string {
	var b strings.Builder
	if d.File != "" {
		fmt.Fprintf(&b, "%s:", d.File)
	}
	if d.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", d.Line, d.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if d.Level == Warning {
		b.WriteString("warning: ")
	}
	if d.Field != "" {
		b.WriteString(d.Field + ": ")
	}
	b.WriteString(d.Message)
	if d.Suggestion != "" {
		b.WriteString("; " + d.Suggestion)
	}
	return b.String()
}

// Errors are findings as an error: one a line.
type Errors []Diagnostic

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, d := range e {
		lines[i] = d.String()
	}
	return strings.Join(lines, "\n")
}

// Failed says whether a finding keeps the gateway from starting.
func Failed(found []Diagnostic) bool {
	for _, d := range found {
		if d.Level == Bad {
			return true
		}
	}
	return false
}

// FieldName turns the name of a Go field into a setting's: GlobalRateLimit
// into globalRateLimit.
func FieldName(field string) string {
	for i, r := range field {
		if r < 'A' || r > 'Z' {
			return strings.ToLower(field[:max(1, i-1)]) + field[max(1, i-1):]
		}
	}
	return strings.ToLower(field)
}
