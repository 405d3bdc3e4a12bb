// Package client speaks the gateway's HTTP API: over a network, or to a
// handler in the same process without a socket. The dashboard and the command
// line see the gateway only through it.
package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"paygate/server/api"
)

// Client is one gateway. Its zero value is of no use; see New and InProcess.
type Client struct {
	base  string
	admin string
	key   string
	http  *http.Client
	demo  *atomic.Bool // an answer has said that the data is made up
}

// Demo says whether an answer has said that the gateway's data is made up.
func (c *Client) Demo() bool { return c.demo.Load() }

// New speaks to the gateway at a URL, its own or that of its endpoint /mcp, with
// an admin key.
func New(url, adminKey string) *Client {
	return &Client{base: strings.TrimSuffix(strings.TrimSuffix(url, "/"), "/mcp"), admin: adminKey, http: &http.Client{}, demo: new(atomic.Bool)}
}

// InProcess speaks to a handler in the same process.
func InProcess(h http.Handler) *Client {
	return &Client{base: "http://gateway", http: &http.Client{Transport: local{h}}, demo: new(atomic.Bool)}
}

// WithKey sends an API key too, for calls by hand.
func (c *Client) WithKey(key string) *Client {
	d := *c
	d.key = key
	return &d
}

// URL is where the gateway is.
func (c *Client) URL() string { return c.base }

// Error is an answer that is not a good one.
type Error struct {
	Status    int
	Message   string
	RequestID string
	Fields    map[string]json.RawMessage // everything the answer says
}

func (e *Error) Error() string { return e.Message }

// ErrUnreachable is wrapped when nobody answers.
var ErrUnreachable = errors.New("the gateway does not answer")

// Do sends a request and reads its JSON answer. in may be nil, and out too. An
// answer that is not a good one is an *Error.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		body = bytes.NewReader(text)
	}
	res, err := c.send(ctx, method, path, body, "application/json", "")
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if res.StatusCode >= 300 {
		return failure(res, text)
	}
	if out == nil || len(text) == 0 {
		return nil
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = text
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s %s: the answer cannot be read: %w", method, path, err)
	}
	return nil
}

// Download copies an answer to w.
func (c *Client) Download(ctx context.Context, path string, w io.Writer) error {
	res, err := c.send(ctx, http.MethodGet, path, nil, "*/*", "")
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		return failure(res, text)
	}
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, body io.Reader, accept, last string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Accept", accept)
	if body != nil || method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.admin != "" {
		req.Header.Set("X-Admin-Key", c.admin)
	}
	if c.key != "" {
		req.Header.Set("X-API-Key", c.key)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := c.http.Do(req)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("%w at %s: %w", ErrUnreachable, c.base, err)
	}
	if res.Header.Get(api.DemoHeader) != "" {
		c.demo.Store(true)
	}
	return res, nil
}

func failure(res *http.Response, text []byte) error {
	e := &Error{Status: res.StatusCode, RequestID: res.Header.Get("X-Request-Id")}
	_ = json.Unmarshal(text, &e.Fields) // an answer of something that is no gateway has none
	_ = json.Unmarshal(e.Fields["error"], &e.Message)
	if e.Message == "" {
		e.Message = fmt.Sprintf("HTTP %d", res.StatusCode)
	}
	return e
}

// Stream reads server-sent events until ctx ends, the server ends the stream or
// on returns an error, which comes back. A connection that breaks is an error
// that wraps ErrUnreachable.
func (c *Client) Stream(ctx context.Context, path string, on func(event, id string, data []byte) error) error {
	res, err := c.send(ctx, http.MethodGet, path, nil, "text/event-stream", "")
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		return failure(res, text)
	}
	err = events(res.Body, on)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errCut):
		return fmt.Errorf("%w at %s: the stream broke", ErrUnreachable, c.base)
	}
	return err
}

var errCut = errors.New("cut off")

// events parses a text/event-stream.
func events(r io.Reader, on func(event, id string, data []byte) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	event, id, data := "", "", []byte(nil)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return errCut
		}
		line = strings.TrimRight(line, "\r\n")
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if data != nil {
				if err := on(event, id, data); err != nil {
					return err
				}
			}
			event, data = "", nil
		case name == "event":
			event = value
		case name == "id":
			id = value
		case name == "data":
			if data != nil {
				data = append(data, '\n')
			}
			data = append(append(data, value...), []byte{}...)
			if data == nil {
				data = []byte{}
			}
		}
	}
}

// Wait returns when the gateway answers, or ctx ends.
func (c *Client) Wait(ctx context.Context) error {
	for {
		if err := c.Do(ctx, http.MethodGet, "/health", nil, nil); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
