package mcp_test

import (
	"encoding/json"
	"testing"

	"paygate/server/mcp"
)

func TestWhatAServerReportsOfACall(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		result      string
		units, cost int64
	}{
		{`{"content":[],"_meta":{"paygate/units":12,"paygate/cost":3}}`, 12, 3},
		{`{"content":[{"type":"text","text":"\"paygate/units\":5"}]}`, 0, 0},
		{`{"_meta":{"paygate/units":-1,"paygate/cost":1.5}}`, 0, 0},
		{`{"_meta":{"paygate/units":"7","paygate/cost":1001}}`, 0, 0},
		{`{}`, 0, 0},
	} {
		if units, cost := mcp.Reported(json.RawMessage(test.result), 1000); units != test.units || cost != test.cost {
			t.Errorf("%s: %d, %d", test.result, units, cost)
		}
	}
}
