package cli

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"paygate/server/api"
	"paygate/server/api/client"
)

// named turns the arguments that stand where a command's use says KEY, FROM or
// TO into ids: people know keys by their names.
func named(ctx context.Context, c *client.Client, use string, args []string) error {
	for i, word := range strings.Fields(use)[1:] {
		if i >= len(args) || word != "KEY" && word != "FROM" && word != "TO" {
			continue
		}
		id, err := keyNamed(ctx, c, args[i])
		if err != nil {
			return err
		}
		args[i] = id
	}
	return nil
}

// keyNamed finds the id of the key with a name. What is no name is as it was
// typed: an id, a secret or an alias.
func keyNamed(ctx context.Context, c *client.Client, name string) (string, error) {
	if strings.HasPrefix(name, "key_") || strings.HasPrefix(name, "pg_") {
		return name, nil
	}
	var page api.KeyPage
	if err := c.Do(ctx, "GET", "/keys?limit=500&sortBy=name&search="+url.QueryEscape(name), nil, &page); err != nil {
		return "", err
	}
	var ids []string
	for _, k := range page.Keys {
		switch {
		case k.Alias == name:
			return k.ID, nil
		case k.Name == name && k.Active:
			ids = append(ids, k.ID)
		}
	}
	switch len(ids) {
	case 0:
		return name, nil
	case 1:
		return ids[0], nil
	}
	return "", fmt.Errorf("%d keys are called %q: say which by its id, %s", len(ids), name, strings.Join(ids[:min(len(ids), 4)], ", "))
}
