package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"paygate/server/api/client"
)

// Running is the address of the gateway that runs on a state folder; "" if none
// answers.
func Running(ctx context.Context, stateDir string) string {
	text, err := os.ReadFile(filepath.Join(stateDir, AddressFile))
	url := strings.TrimSpace(string(text))
	if err != nil || client.New(url, "").Do(ctx, "GET", "/health", nil, nil) != nil {
		return ""
	}
	return url
}
