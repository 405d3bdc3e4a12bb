package cli

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// known is a server that another program's configuration names.
type known struct {
	name, file string
	command    []string
	url        string
	env        map[string]string
}

// String is how the first run offers it.
func (k known) String() string {
	target := k.url
	if target == "" {
		target = strings.Join(k.command, " ")
	}
	const most = 44
	if r := []rune(target); len(r) > most {
		target = string(r[:most-1]) + "…"
	}
	return k.name + "  " + target + "  (" + k.file + ")"
}

// findServers looks into the configurations of clients that people have.
func findServers(home string) []known {
	files := []string{".mcp.json", filepath.Join(".cursor", "mcp.json"), filepath.Join(".vscode", "mcp.json")}
	if home != "" {
		files = append(files, filepath.Join(home, ".cursor", "mcp.json"))
		switch runtime.GOOS {
		case "darwin":
			files = append(files, filepath.Join(home, "Library", "Application Support", "Claude", "claude_desktop_config.json"))
		case "windows":
			files = append(files, filepath.Join(home, "AppData", "Roaming", "Claude", "claude_desktop_config.json"))
		default:
			files = append(files, filepath.Join(home, ".config", "Claude", "claude_desktop_config.json"))
		}
	}
	var out []known
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			out = append(out, serversIn(file, text)...)
		}
	}
	return out
}

// serversIn reads "mcpServers" (or "servers", as VS Code calls them).
func serversIn(file string, text []byte) []known {
	type entry struct {
		Command string
		Args    []string
		URL     string
		Env     map[string]string
	}
	var config struct {
		MCPServers map[string]entry `json:"mcpServers"`
		Servers    map[string]entry `json:"servers"`
	}
	if json.Unmarshal(text, &config) != nil {
		return nil
	}
	var out []known
	for _, servers := range []map[string]entry{config.MCPServers, config.Servers} {
		for _, name := range sortedNames(servers) {
			s := servers[name]
			if s.Command == "" && s.URL == "" || s.Command == "paygate" {
				continue
			}
			out = append(out, known{name: name, file: file, command: append([]string{s.Command}, s.Args...), url: s.URL, env: s.Env})
		}
	}
	return out
}

func sortedNames[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
