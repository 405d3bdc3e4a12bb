package api

import (
	"fmt"
	"net/http"
	"time"
)

// Error is an admin's or a client's request that is refused: what is wrong and
// with which status.
type Error struct {
	Status     int
	Message    string
	Extra      map[string]any // more members of the answer
	RetryAfter time.Duration
}

func (e *Error) Error() string { return e.Message }

// With adds a member to the answer.
func (e *Error) With(name string, value any) *Error {
	if e.Extra == nil {
		e.Extra = map[string]any{}
	}
	e.Extra[name] = value
	return e
}

func newError(status int, format string, args []any) *Error {
	return &Error{Status: status, Message: fmt.Sprintf(format, args...)}
}

// BadRequest is about the request itself.
func BadRequest(format string, args ...any) *Error {
	return newError(http.StatusBadRequest, format, args)
}

// Unauthorized is a missing or wrong credential.
func Unauthorized(format string, args ...any) *Error {
	return newError(http.StatusUnauthorized, format, args)
}

// Forbidden is a credential that may not.
func Forbidden(format string, args ...any) *Error {
	return newError(http.StatusForbidden, format, args)
}

// NotFound is about something that is not there.
func NotFound(format string, args ...any) *Error {
	return newError(http.StatusNotFound, format, args)
}

// Conflict is about a state that does not allow it.
func Conflict(format string, args ...any) *Error {
	return newError(http.StatusConflict, format, args)
}

// Unprocessable is a request that contradicts an earlier one.
func Unprocessable(format string, args ...any) *Error {
	return newError(http.StatusUnprocessableEntity, format, args)
}

// Unavailable is us, for now.
func Unavailable(format string, args ...any) *Error {
	return newError(http.StatusServiceUnavailable, format, args)
}
