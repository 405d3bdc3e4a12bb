package mcp

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

// meaningful are the members of params by which a request is judged.
var meaningful = [...]string{"name", "arguments", "uri", "taskId", "task", "calls", "requestState", "_meta"}

// CheckNames refuses params in which a member that means something comes in
// another letter case. Some servers do not mind the case and take whichever
// comes last: they would do another thing than the one that was judged.
func CheckNames(params json.RawMessage) error {
	var found error
	gjson.ParseBytes(params).ForEach(func(member, _ gjson.Result) bool {
		for _, name := range meaningful {
			if member.Str != name && strings.EqualFold(member.Str, name) {
				found = &Error{Code: CodeInvalidParams, Message: fmt.Sprintf("params.%s must be spelled %s", member.Str, name)}
				return false
			}
		}
		return true
	})
	return found
}
