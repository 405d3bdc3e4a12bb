package mcp

import (
	"net/http"

	"github.com/tidwall/gjson"
)

const metaPrefix = "io.modelcontextprotocol/"

// modernRequest decides the era of a request: one that names its revision in
// _meta, or in a header a revision that is not one of the old ones.
func modernRequest(r *http.Request, m *Message) bool {
	if v := r.Header.Get("MCP-Protocol-Version"); v != "" && !isLegacy(v) {
		return true
	}
	return metaField(m, "protocolVersion").Exists()
}

func metaField(m *Message, name string) gjson.Result {
	return gjson.GetBytes(m.Params, "_meta."+gjson.Escape(metaPrefix+name))
}

// postModern is replaced below.
func (e *Endpoint) postModern(w http.ResponseWriter, r *http.Request, caller Caller, m *Message) {
	fail(w, http.StatusBadRequest, m.ID, &Error{Code: CodeUnsupportedVersion, Message: "unsupported"})
}
