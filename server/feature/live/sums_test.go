package live

import (
	"fmt"
	"testing"

	"paygate/pricing"
	"paygate/store/journal"
)

// Callers name tools that are not there, as many as they like.
func TestToolsOfCallersAreBounded(t *testing.T) {
	t.Parallel()
	s, all := newSums(), newSums()
	for i := range 5000 {
		s.count(measure(&journal.Call{Call: pricing.Call{Tool: fmt.Sprint("tool", i)}, Charged: 1}))
	}
	all.merge(s)
	all.merge(s)
	if len(s.tools) > mostTools+1 || len(all.tools) > mostTools+1 {
		t.Errorf("%d and %d tools are kept", len(s.tools), len(all.tools))
	}
	counted := int64(0)
	for _, tool := range all.tools {
		counted += tool.calls
	}
	if all.calls != 10000 || counted != 10000 {
		t.Errorf("%d calls, %d of tools", all.calls, counted)
	}
}
