package walk

import "paygate/store/journal"

// numbers are of keys and tools, given once for all candidates: what each of them
// counts by key and tool is then a place in a list.
type numbers struct {
	keys, tools     []string
	keyIDs, toolIDs map[string]int32
}

func newNumbers(keys, tools []string) numbers {
	n := numbers{keyIDs: map[string]int32{}, toolIDs: map[string]int32{}}
	for _, key := range keys {
		number(key, n.keyIDs, &n.keys)
	}
	for _, tool := range tools {
		number(tool, n.toolIDs, &n.tools)
	}
	return n
}

func (n *numbers) of(c *journal.Call) (key, tool int32) {
	return number(c.Key, n.keyIDs, &n.keys), number(c.Tool, n.toolIDs, &n.tools)
}

func (n *numbers) key(c *journal.Call) int32 { return number(c.Key, n.keyIDs, &n.keys) }

func number(name string, ids map[string]int32, list *[]string) int32 {
	id, ok := ids[name]
	if !ok {
		id = int32(len(*list))
		ids[name] = id
		*list = append(*list, name)
	}
	return id
}
