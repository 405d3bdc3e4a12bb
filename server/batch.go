package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"paygate/server/gate"
	"paygate/server/mcp"
)

// mostInBatch bounds a tools/call_batch.
const mostInBatch = 100

// batchItem is one answer of a batch, in the order of its calls.
type batchItem struct {
	Tool           string          `json:"tool"`
	Result         json.RawMessage `json:"result,omitempty"`
	Error          *mcp.Error      `json:"error,omitempty"`
	CreditsCharged *int64          `json:"creditsCharged,omitempty"` // not said in shadow mode
}

// batch takes params.calls through the gate: all are admitted by one Reserve
// or none is, and then each ends alone.
func (a *agents) batch(ctx context.Context, w *World, who identity, x *mcp.Exchange) (*mcp.Message, error) {
	calls, err := a.batchCalls(w, who, x)
	if err != nil {
		return nil, a.malformed(x, err)
	}
	failed, err := a.s.gate.DoAll(ctx, &w.Way, calls)
	a.figures(w, who, x, nil)
	var denial *gate.Denial
	if errors.As(err, &denial) {
		return a.batchRefusal(w, calls, failed, denial), nil
	}
	if err != nil {
		return nil, failure(err)
	}
	items, total := make([]batchItem, len(calls)), int64(0)
	for i, c := range calls {
		items[i] = a.batchItem(w, c)
		total += int64(c.Settlement.Charged)
	}
	answer := map[string]any{"results": items}
	if !w.Way.Observe {
		answer["totalCreditsCharged"] = total
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, fmt.Errorf("batch: %w", err)
	}
	return &mcp.Message{Result: text}, nil
}

func (a *agents) batchCalls(w *World, who identity, x *mcp.Exchange) ([]*gate.Call, error) {
	list := gjson.GetBytes(x.Request.Params, "calls")
	if !list.IsArray() || len(list.Array()) == 0 {
		return nil, &mcp.Error{Code: mcp.CodeInvalidParams, Message: `params.calls must be a list of {"name", "arguments"} with at least one entry`}
	}
	items := list.Array()
	if len(items) > mostInBatch {
		return nil, &mcp.Error{Code: mcp.CodeInvalidParams, Message: fmt.Sprintf("params.calls has %d entries; at most %d go in one batch", len(items), mostInBatch)}
	}
	meta, err := sharedMeta(x.Request.Params)
	if err != nil {
		return nil, err
	}
	calls := make([]*gate.Call, len(items))
	for i, item := range items {
		params := json.RawMessage(item.Raw)
		if err := mcp.CheckNames(params); err != nil {
			return nil, inBatch(i, err)
		}
		c, err := a.newCall(w, who, x, params)
		if err == nil && meta != nil && !item.Get("_meta").Exists() {
			params, err = sjson.SetRawBytes(params, "_meta", meta)
		}
		if err != nil {
			return nil, inBatch(i, err)
		}
		c.Request = &mcp.Message{ID: x.Request.ID, Method: "tools/call", Params: params}
		c.Send = x.Forward
		calls[i] = c
	}
	return calls, nil
}

// sharedMeta is the _meta that every entry without its own is sent with: a
// stateless server wants to know of each request what its client is. One
// progress token cannot stand for several calls, so it stays behind.
func sharedMeta(params json.RawMessage) (json.RawMessage, error) {
	meta := gjson.GetBytes(params, "_meta")
	if !meta.IsObject() {
		return nil, nil
	}
	return sjson.DeleteBytes([]byte(meta.Raw), "progressToken")
}

// inBatch says which entry of the batch an error is about.
func inBatch(i int, err error) error {
	var bad *mcp.Error
	if !errors.As(err, &bad) {
		return fmt.Errorf("params.calls[%d]: %w", i, err)
	}
	named := *bad
	named.Message = fmt.Sprintf("params.calls[%d]: %s", i, bad.Message)
	return &named
}

func (a *agents) batchItem(w *World, c *gate.Call) batchItem {
	item := batchItem{Tool: c.Tool}
	if c.Result != nil {
		item.Result, item.Error = c.Result.Result, c.Result.Error
	} else {
		item.Error = &mcp.Error{Code: mcp.CodeInternal, Message: c.Error}
	}
	if !w.Way.Observe {
		charged := int64(c.Settlement.Charged)
		item.CreditsCharged = &charged
	}
	return item
}

// batchRefusal names the call that stopped the batch; nothing was charged.
func (a *agents) batchRefusal(w *World, calls []*gate.Call, failed int, d *gate.Denial) *mcp.Message {
	m := a.refusal(w, calls[failed], d)
	var data map[string]any
	if json.Unmarshal(m.Error.Data, &data) != nil || data == nil {
		data = map[string]any{}
	}
	data["failedIndex"] = failed
	if !w.Way.Observe {
		var total int64
		for _, c := range calls {
			total += int64(c.Quote)
		}
		data["totalCreditsRequired"] = total
	}
	if text, err := json.Marshal(data); err == nil {
		m.Error.Data = text
	}
	return m
}
