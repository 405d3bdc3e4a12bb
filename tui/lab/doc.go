// Package lab draws what the pricing lab found: why a sheet collects more or
// less than the live one, whose bills change, who is refused and when, and how
// sure any of it is. Each plot takes a report and an area of any size, and says
// what it cannot show. It also reads and writes prices as they stand in the
// lab's cells.
//
// It asks nobody for anything and keeps nothing.
package lab
