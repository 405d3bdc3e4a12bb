package upstream

import (
	"fmt"
	"strings"
)

// ParseCommand splits a command line as a shell would: blanks separate words,
// single quotes keep everything, double quotes and backslashes what they
// usually keep. It expands nothing, and says so where a shell would.
func ParseCommand(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	in := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if in {
				words = append(words, word.String())
				word.Reset()
				in = false
			}
		case c == '\'' || c == '"':
			end, err := quoted(line, i, &word)
			if err != nil {
				return nil, err
			}
			i, in = end, true
		case c == '\\':
			if i+1 == len(line) {
				return nil, fmt.Errorf("command %q: it ends in a backslash; double it, or put the last word in single quotes", line)
			}
			i++
			word.WriteByte(line[i])
			in = true
		case strings.IndexByte("|;&<>`", c) >= 0:
			return nil, fmt.Errorf("command %q: %q at position %d is shell syntax, and no shell runs it; quote it, or use: sh -c '…'", line, c, i+1)
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if in {
		words = append(words, word.String())
	}
	if len(words) == 0 || words[0] == "" {
		return nil, fmt.Errorf("command %q: it is empty; give a program, such as %q", line, "npx -y @modelcontextprotocol/server-filesystem .")
	}
	return words, nil
}

// quoted reads the quoted part that begins at i and returns where it ends.
func quoted(line string, i int, word *strings.Builder) (int, error) {
	quote := line[i]
	for j := i + 1; j < len(line); j++ {
		c := line[j]
		if c == quote {
			return j, nil
		}
		if c == '\\' && quote == '"' && j+1 < len(line) && strings.IndexByte("\"\\$`", line[j+1]) >= 0 {
			j++
			c = line[j]
		}
		word.WriteByte(c)
	}
	return 0, fmt.Errorf("command %q: the quote %c at position %d is never closed", line, quote, i+1)
}
