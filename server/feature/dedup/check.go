package dedup

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/tidwall/gjson"

	"paygate/server/gate"
	"paygate/server/mcp"
)

// metaKey is where a client that cannot set headers names a request.
const metaKey = "paygate/idempotencyKey"

// Check stands after who may call what, and before all that a repetition must
// not be refused for: rates, credits, quotas.
func (d *Dedup) Check() gate.Check {
	return gate.Check{Name: "dedup", Do: func(c *gate.Call) *gate.Denial {
		if c.Dry || len(c.Denials) > 0 {
			return nil
		}
		given, denial := keyOf(c)
		if denial != nil {
			return denial
		}
		d.mu.Lock()
		config := d.config
		d.mu.Unlock()
		if !config.Enabled || given == "" && !config.AutoGenerate {
			return nil
		}
		what := request(c)
		if given == "" {
			given = fmt.Sprintf("\x00auto %x", what)
		}
		return d.look(c, nameOf(c, given), what)
	}}
}

// keyOf is the idempotency key that a request came with: in one of two headers,
// or in its _meta.
func keyOf(c *gate.Call) (string, *gate.Denial) {
	invalid := func(text string) *gate.Denial {
		return &gate.Denial{Reason: "invalid_idempotency_key", Code: mcp.CodeInvalidParams, Message: "invalid_idempotency_key: " + text}
	}
	given := ""
	for _, found := range []string{c.Header("X-Idempotency-Key"), c.Header("Idempotency-Key"), inMeta(c.Request.Params)} {
		switch {
		case found == "" || found == given:
		case given != "":
			return "", invalid("the headers and _meta name two different keys; a request has one")
		default:
			given = found
		}
	}
	if len(given) > longestKey {
		return "", invalid(fmt.Sprintf("it has %d characters; at most %d are kept", len(given), longestKey))
	}
	return given, nil
}

func inMeta(params json.RawMessage) string {
	if !bytes.Contains(params, []byte(metaKey)) { // nearly always
		return ""
	}
	return gjson.GetBytes(params, "_meta."+gjson.Escape(metaKey)).Str
}

// nameOf tells apart what shares a key: callers, the calls of a batch, and the
// rounds of a call that asks its client for input.
func nameOf(c *gate.Call, given string) name {
	return sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%d/%d", c.Key, given, c.Resumes, c.BatchI, c.BatchN))
}

// request is what is asked for: the tool, its arguments whatever their order,
// and what a later round of the call brings.
func request(c *gate.Call) [32]byte {
	replies := gjson.GetBytes(c.Request.Params, "inputResponses")
	return sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s", c.Tool, canonical(c.Args), canonical([]byte(replies.Raw))))
}

// canonical writes a value with its members in order and its numbers as they
// came.
func canonical(raw []byte) []byte {
	if len(raw) == 0 {
		return []byte("{}")
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return raw
	}
	out, err := json.Marshal(v)
	if err != nil {
		return raw
	}
	return out
}
