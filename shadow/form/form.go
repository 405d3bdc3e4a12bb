// Package form gives a report the forms that people read: Markdown, one HTML
// file with its plots, and a table for spreadsheets. It has the same content as
// the report's JSON and computes nothing of its own.
package form

import "paygate/shadow/report"

// view is a report as a form sees it.
type view struct{ *report.Report }

// Lines is for the page.
func (r view) Lines() []Line { return Lines(r.Report) }

// Verdict is the report in a sentence.
func Verdict(r *report.Report) string { return view{r}.verdict() }

// Markdown is the report as text for people.
func Markdown(r *report.Report) string { return view{r}.markdown() }

// HTML is the report as one file without anything from elsewhere: no script, no
// font, no image but the plots that are drawn in it.
func HTML(r *report.Report) ([]byte, error) { return view{r}.html() }

// CSV is the report's keys as a table for a spreadsheet. Names that one would
// take for a formula are quoted.
func CSV(r *report.Report) ([]byte, error) { return view{r}.csv() }
