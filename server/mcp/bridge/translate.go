package bridge

import (
	"slices"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"paygate/server/mcp"
)

// request is a request as a server of the old era knows it.
func request(m *mcp.Message) *mcp.Message {
	out := *m
	params := []byte(m.Params)
	for _, name := range []string{"protocolVersion", "clientCapabilities", "clientInfo", "logLevel"} {
		params = without(params, "_meta."+gjson.Escape(metaPrefix+name))
	}
	if gjson.GetBytes(params, "_meta").Raw == "{}" {
		params = without(params, "_meta")
	}
	if gjson.GetBytes(params, "requestState").Str == visited { // of a round that the server knows nothing of
		params = without(without(params, "inputResponses"), "requestState")
	}
	out.Params = without(params, "task") // tasks of this revision have another shape: the request runs as usual
	return &out
}

func without(text []byte, path string) []byte {
	if !gjson.GetBytes(text, path).Exists() {
		return text
	}
	if out, err := sjson.DeleteBytes(text, path); err == nil {
		return out
	}
	return text
}

func with(text []byte, path string, value any) []byte {
	if out, err := sjson.SetBytes(text, path, value); err == nil {
		return out
	}
	return text
}

// cached are the results that carry cache hints in the new revision.
func cached(method string) bool {
	return slices.Contains([]string{"tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read", "server/discover"}, method)
}

// answer is an answer as a client of the new revision knows it.
func (c *newer) answer(m, res *mcp.Message) *mcp.Message {
	out := *res
	if out.Error != nil {
		if out.Error.Code == resourceNotFound {
			e := *out.Error
			e.Code = mcp.CodeInvalidParams
			out.Error = &e
		}
		return &out
	}
	text := []byte(out.Result)
	if !gjson.GetBytes(text, "resultType").Exists() {
		kind := "complete"
		if gjson.GetBytes(text, "inputRequests").Exists() { // some servers speak half of the new revision
			kind = "input_required"
		}
		text = with(text, "resultType", kind)
	}
	if cached(m.Method) {
		text = with(text, "ttlMs", 0)
		text = with(text, "cacheScope", "private")
	}
	if info := gjson.GetBytes(c.first.Init.Result, "serverInfo"); info.Exists() {
		if out, err := sjson.SetRawBytes(text, "_meta."+gjson.Escape(metaPrefix+"serverInfo"), []byte(info.Raw)); err == nil {
			text = out
		}
	}
	out.Result = text
	return &out
}

// resourceNotFound is what the old era says; the new one has no code for it.
const resourceNotFound = -32002

// discover answers from what the server said when the conversation began.
func (c *newer) discover(m *mcp.Message) *mcp.Message {
	init := c.first.Init.Result
	caps := []byte(gjson.GetBytes(init, "capabilities").Raw)
	if len(caps) == 0 {
		caps = []byte("{}")
	}
	caps = without(caps, "tasks") // another shape than the new revision's
	text := []byte(`{"supportedVersions":["2026-07-28","2025-11-25","2025-06-18","2025-03-26"]}`)
	if out, err := sjson.SetRawBytes(text, "capabilities", caps); err == nil {
		text = out
	}
	if i := gjson.GetBytes(init, "instructions"); i.Type == gjson.String {
		text = with(text, "instructions", i.Str)
	}
	return c.answer(m, &mcp.Message{ID: m.ID, Result: text})
}

// levels from the least to the most severe.
func severity(level string) int {
	return slices.Index([]string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}, level)
}

// wants says whether a request's client is told of a message during the call:
// of logs only what it asked for.
func wants(m, during *mcp.Message) bool {
	if during.Method != "notifications/message" {
		return true
	}
	asked := meta(m, "logLevel")
	return asked.Type == gjson.String && severity(gjson.GetBytes(during.Params, "level").Str) >= severity(asked.Str)
}
