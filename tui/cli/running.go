package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paygate/server/api/client"
)

// Running is the address of the gateway that runs on a state folder; "" if none
// does, although one that was killed may have left its address.
func Running(ctx context.Context, stateDir string) string {
	text, err := os.ReadFile(filepath.Join(stateDir, AddressFile))
	url := strings.TrimSpace(string(text))
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err != nil || client.New(url, "").Do(ctx, "GET", "/health", nil, nil) != nil {
		return ""
	}
	return url
}
