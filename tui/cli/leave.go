package cli

import (
	"os"
	"path/filepath"
)

// The files by which the local command line finds the gateway and its owner's
// key; both 0600 in the state folder.
const (
	AddressFile = "address"
	TokenFile   = "admin.token"
)

// LeaveToken leaves an admin key for the local command line, if there is one.
func LeaveToken(stateDir, key string) error {
	if key == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(stateDir, TokenFile), []byte(key+"\n"), 0o600)
}

// LeaveAddress tells the local command line where the gateway listens.
func LeaveAddress(stateDir, url string) (clean func(), err error) {
	path := filepath.Join(stateDir, AddressFile)
	return func() { _ = os.Remove(path) }, os.WriteFile(path, []byte(url+"\n"), 0o600)
}
