// Package spelling finds what a mistyped name most likely meant.
package spelling

import "strings"

// longest is how long a word may be to be compared with others.
const longest = 64

// Nearest is the known name that a wrong one most likely meant, or empty when
// none is near.
func Nearest(name string, known []string) string {
	best, least := "", max(2, len(name)/3)+1
	for _, k := range known {
		wrong, right := strings.ToLower(name), strings.ToLower(k)
		d := Distance(wrong, right)
		if len(wrong) > 3 && strings.HasPrefix(right, wrong) { // only the end is missing
			d = min(d, 2)
		}
		if d < least {
			best, least = k, d
		}
	}
	return best
}

// Distance counts the single-character edits between two words (Levenshtein).
func Distance(a, b string) int {
	if len(a) > longest || len(b) > longest {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
