package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"paygate/server/mcp"
)

// stream reads the events that answer a request, over as many connections as
// it takes: a server may close one and have us come back for the rest.
func (h *httpLink) stream(ctx context.Context, c *call, body io.Reader) {
	buffer := wide
	if c.method == listen {
		buffer = narrow
	}
	ev := newEvents(body, h.srv.opt.Limits.Message, buffer)
	for fails := 0; ; {
		n, err := h.pump(ev, c)
		if c.finished() {
			return
		}
		if n > 0 {
			fails = 0
		}
		if errors.Is(err, errEventTooLong) {
			c.finish(nil, &lostError{text: fmt.Sprintf("%s: the server sent a message of more than %d bytes, which is the limit", h.srv.spec.label(), h.srv.opt.Limits.Message)})
			return
		}
		if h.modern || ev.lastID == "" || fails >= h.srv.opt.Limits.ResumeTries || ctx.Err() != nil {
			c.finish(nil, &lostError{text: h.srv.spec.label() + ": the server's stream ended before the answer", cause: ctx.Err()})
			return
		}
		fails++
		if !sleep(ctx, h.over, ev.retry) {
			c.finish(nil, &lostError{text: h.srv.spec.label() + ": the call was given up before the server answered", cause: ctx.Err()})
			return
		}
		res, err := h.do(ctx, http.MethodGet, nil, nil, ev.lastID)
		if err != nil {
			continue
		}
		if res.StatusCode != http.StatusOK {
			drop(res)
			c.finish(nil, &lostError{text: h.srv.spec.label() + ": the stream broke before the answer, and the server does not resume it (" + res.Status + ")"})
			return
		}
		id, retry := ev.lastID, ev.retry
		ev = newEvents(res.Body, h.srv.opt.Limits.Message, buffer)
		ev.lastID, ev.retry = id, retry
		defer drop(res) // at most ResumeTries in a row, each ended by the server already
	}
}

// pump delivers events until the stream ends or the call has its answer. It
// returns how many came.
func (h *httpLink) pump(ev *events, c *call) (n int, err error) {
	for {
		data, err := ev.next()
		if err != nil {
			return n, err
		}
		n++
		msgs, err := parse(data)
		if err != nil {
			h.srv.tail.add(Line{Text: string(data[:min(len(data), maxLine)]), Out: true})
			continue
		}
		for _, m := range msgs {
			h.hand(m, c)
		}
		if c != nil && c.finished() {
			return n, nil
		}
	}
}

// sleep waits, unless the context or the link ends first.
func sleep(ctx context.Context, over <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-over:
		return false
	}
}

// hear opens the GET stream on which a server of the old era sends what
// belongs to no call, once per link.
func (h *httpLink) hear() {
	h.mu.Lock()
	begun := h.state.hearing || h.ended != nil
	h.state.hearing = true
	h.mu.Unlock()
	if begun || h.modern {
		return
	}
	h.loops.Go(func() { h.listen(h.life) })
}

// listen keeps the GET stream open, as long as the server offers one.
func (h *httpLink) listen(ctx context.Context) {
	lastID, wait := "", time.Second
	for fails := 0; ctx.Err() == nil; {
		_, _, gen := h.session()
		res, err := h.do(ctx, http.MethodGet, nil, nil, lastID)
		switch {
		case err != nil:
			fails++
		case res.StatusCode == http.StatusOK:
			ev := newEvents(res.Body, h.srv.opt.Limits.Message, narrow)
			ev.lastID = lastID
			if n, _ := h.pump(ev, nil); n > 0 {
				fails = 0
			}
			drop(res)
			lastID, wait = ev.lastID, ev.retry
			fails++
		case res.StatusCode == http.StatusNotFound:
			drop(res)
			fails++
			lastID = ""
			if h.revive(ctx, gen) == nil {
				fails = 0
			}
		case res.StatusCode/100 == 4 && res.StatusCode != http.StatusTooManyRequests && res.StatusCode != http.StatusConflict:
			drop(res)
			if lastID == "" {
				return // it offers none
			}
			lastID = "" // it does not know where we were
		default:
			drop(res)
			fails++
		}
		sleep(ctx, h.over, max(wait, backoff(fails, 30*time.Second)))
	}
}

// revive establishes the session anew after the server has forgotten it, with
// all that the client had set: nobody notices. gen is the session that was
// found forgotten; another caller may have been quicker.
func (h *httpLink) revive(ctx context.Context, gen int) error {
	h.reviving.Lock()
	defer h.reviving.Unlock()
	h.mu.Lock()
	now, init, level := h.state.gen, h.state.init, h.state.level
	subs := make([]json.RawMessage, 0, len(h.state.subs))
	for _, params := range h.state.subs {
		subs = append(subs, params)
	}
	h.mu.Unlock()
	if now != gen || init == nil {
		return nil
	}
	h.srv.log.Info("session forgotten by the server; established anew")
	if err := h.ask(ctx, "initialize", init); err != nil {
		return err
	}
	if err := h.send(ctx, &mcp.Message{Method: "notifications/initialized"}, nil); err != nil {
		return err
	}
	if level != nil {
		if err := h.ask(ctx, "logging/setLevel", level); err != nil {
			return err
		}
	}
	for _, params := range subs {
		if err := h.ask(ctx, "resources/subscribe", params); err != nil {
			return err
		}
	}
	return nil
}

// ask sends a request of the link's own and waits for a good answer. It never
// establishes a session anew: that would not end.
func (h *httpLink) ask(ctx context.Context, method string, params json.RawMessage) error {
	m := &mcp.Message{Method: method, Params: params}
	h.mu.Lock()
	h.last++
	c := &call{id: h.last, method: method, own: appendID(h.last)}
	c.ready(h.max)
	h.calls[c.id] = c
	h.mu.Unlock()
	defer h.end(c)
	res, err := h.do(ctx, http.MethodPost, appendMessage(nil, m, c.own), map[string]string{"Mcp-Method": method}, "")
	if err != nil {
		return h.lost(err)
	}
	h.receive(ctx, c, m, res)
	switch final, err := c.outcome(); {
	case err != nil:
		return err
	case final.Error != nil:
		return final.Error
	}
	return nil
}

// note remembers what must be said again to a new session.
func (h *httpLink) note(method string, params json.RawMessage) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch uri := text(params, "uri"); method {
	case "logging/setLevel":
		h.state.level = params
	case "resources/subscribe":
		if len(h.state.subs) < 1000 {
			h.state.subs[uri] = params
		}
	case "resources/unsubscribe":
		delete(h.state.subs, uri)
	}
}

// alive asks the server whether it is there at all. Any answer will do.
func (h *httpLink) alive(ctx context.Context) bool {
	ctx, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	m := &mcp.Message{Method: "ping"}
	if h.modern {
		m = &mcp.Message{Method: "server/discover", Params: h.srv.discoverParams()}
	}
	for range 2 {
		res, err := h.do(ctx, http.MethodPost, appendMessage(nil, m, json.RawMessage(`"alive"`)), h.headersFor(ctx, m), "")
		if err == nil {
			drop(res)
			return true
		}
		if !sleep(ctx, h.over, 100*time.Millisecond) {
			return false
		}
	}
	return false
}
