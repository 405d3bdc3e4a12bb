package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"paygate/server/mcp"
)

// forgotten says whether the server does not know the session. The old SDKs'
// examples answer 400 and -32000 where the specification wants 404.
func forgotten(res *http.Response) bool {
	if res.StatusCode == http.StatusNotFound {
		return true
	}
	if res.StatusCode != http.StatusBadRequest {
		return false
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(raw), res.Body))
	msgs, bad := parse(raw)
	return err == nil && bad == nil && msgs[0].Error != nil && msgs[0].Error.Code == -32000
}

// lost makes an error of the network one that says no answer came.
func (h *httpLink) lost(err error) error {
	if errors.Is(err, mcp.ErrLost) {
		return err
	}
	var rpc *mcp.Error
	if errors.As(err, &rpc) {
		return &lostError{text: h.srv.spec.label() + ": the server refuses a new session: " + rpc.Message}
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		h.srv.suspect()
		return &lostError{text: h.srv.spec.label() + ": the server cannot be reached", more: fmt.Sprintf(" (%v)", op.Err), cause: err}
	}
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		h.srv.suspect()
	}
	return &lostError{text: h.srv.spec.label() + ": the connection broke while the call ran", more: fmt.Sprintf(" (%v)", bare(err)), cause: err}
}

// bare strips the URL off an error of the HTTP client: it may hold a secret.
func bare(err error) error {
	var u interface{ Unwrap() error }
	if errors.As(err, &u) {
		if inner := u.Unwrap(); inner != nil {
			return inner
		}
	}
	return err
}

// statusError is an HTTP answer that is no JSON-RPC answer.
type statusError struct {
	code int
	*lostError
}

func (e *statusError) Unwrap() error { return e.lostError }

// era says whether the answer tells that the server does not know the new era:
// what is about credentials, load or the server's health does not.
func (e *statusError) era() bool {
	switch e.code {
	case 401, 403, 407, 408, 421, 425, 429:
		return false
	}
	return e.code < 500
}

func (h *httpLink) status(res *http.Response, body []byte) error {
	more := ""
	switch res.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		more = "; check the headers configured for it"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		more = "; check its URL"
	}
	if words := strings.TrimSpace(string(body)); words != "" && !strings.HasPrefix(words, "<") {
		more += ": " + cut(words, 200)
	}
	lost := &lostError{text: h.srv.spec.label() + ": the server answered " + res.Status, more: more}
	return &statusError{code: res.StatusCode, lostError: lost}
}
