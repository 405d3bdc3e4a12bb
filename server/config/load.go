package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"paygate/pricing/filetree"
)

// Source is where a configuration comes from.
type Source struct {
	File  string            // path; empty: none
	Env   []string          // as os.Environ gives it
	Flags map[string]string // by setting, such as "port": "8080"; lists and objects as JSON

	UserDir string // the user's own configuration folder; empty: none is known
}

// Load reads a configuration: defaults, then the file, then PAYGATE_
// variables, then flags. The findings are everything that is wrong; with a Bad
// one among them the configuration must not be used.
func Load(src Source) (*All, []Diagnostic) {
	a := Defaults()
	d := &decoder{file: src.File}
	known := schema(&a)
	if src.File != "" {
		d.readFile(src.File, known)
	}
	d.file = ""
	for _, pair := range src.Env {
		name, value, _ := strings.Cut(pair, "=")
		if field, ok := strings.CutPrefix(name, "PAYGATE_"); ok {
			d.variable(name, field, value, known)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(src.Flags)) {
		if set := known[name]; set != nil {
			set(d, "--"+flagName(name), scalar(src.Flags[name]))
		}
	}
	a.File = src.File
	d.whole(&a)
	d.place(&a, src)
	d.guardFile(&a)
	return &a, d.found
}

func (d *decoder) readFile(path string, known settings) {
	raw, err := os.ReadFile(path)
	if err != nil {
		message := err.Error()
		if errors.Is(err, fs.ErrNotExist) {
			message = "there is no such file"
		}
		d.found = append(d.found, Diagnostic{File: path, Level: Bad, Message: message})
		return
	}
	n, faults := filetree.Parse(path, raw)
	for _, f := range faults {
		d.found = append(d.found, Diagnostic{File: path, Line: f.Line, Column: f.Column, Field: f.Field, Level: Bad, Message: f.Message})
	}
	if n != nil {
		d.object("", n, known, later())
	}
}

// commandVariables are those that are not settings: the command line reads
// them.
func commandVariables() []string {
	return []string{"URL", "CONFIG", "HEADLESS", "DRY_RUN", "THEME", "ASCII"}
}

// aliases are the variables and flags whose names differ from their setting's.
func aliases() map[string]string {
	return map[string]string{"PRICE": "defaultCreditsPerCall", "RATE_LIMIT": "globalRateLimitPerMin", "SHADOW": "shadowMode",
		"REQUEST_TIMEOUT": "requestTimeoutMs", "HEADERS_TIMEOUT": "headersTimeoutMs", "KEEPALIVE_TIMEOUT": "keepAliveTimeoutMs"}
}

// variable reads PAYGATE_SOME_SETTING.
func (d *decoder) variable(name, field, value string, known settings) {
	if slices.Contains(commandVariables(), field) {
		return
	}
	if alias, ok := aliases()[field]; ok {
		known[alias](d, name, scalar(value))
		return
	}
	for setting, set := range known {
		if variableName(setting) == field {
			set(d, name, scalar(value))
			return
		}
	}
	finding := Diagnostic{Field: name, Level: Bad, Message: "there is no such setting"}
	for setting, feature := range later() {
		if variableName(setting) == field {
			finding.Message = "this version has no " + feature + " yet; unset the variable"
		}
	}
	d.found = append(d.found, finding)
}

// variableName turns globalRateLimitPerMin into GLOBAL_RATE_LIMIT_PER_MIN.
func variableName(setting string) string {
	var b strings.Builder
	for _, r := range setting {
		if r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

func flagName(setting string) string {
	return strings.ToLower(strings.ReplaceAll(variableName(setting), "_", "-"))
}

// scalar reads what a variable or flag says: JSON where it is JSON, text
// otherwise.
func scalar(value string) *filetree.Node {
	if n, found := filetree.JSON([]byte(value)); n != nil && len(found) == 0 {
		n.Line, n.Column = 0, 0
		return n
	}
	return &filetree.Node{Kind: filetree.Text, Text: value}
}

// whole checks what concerns more than one setting.
func (d *decoder) whole(a *All) {
	problem := func(field, format string, args ...any) {
		d.found = append(d.found, Diagnostic{File: a.File, Field: field, Level: Bad, Message: fmt.Sprintf(format, args...)})
	}
	for i, s := range a.Servers {
		at := fmt.Sprintf("servers[%d]", i)
		switch {
		case s.Command == "" && s.URL == "":
			problem(at, "needs serverCommand or remoteUrl")
		case s.Command != "" && s.URL != "":
			problem(at, "has both serverCommand and remoteUrl; give one")
		case len(a.Servers) > 1 && s.Prefix == "":
			problem(at, "needs a prefix, since there are several servers")
		}
		for _, other := range a.Servers[:i] {
			if other.Prefix == s.Prefix && len(a.Servers) > 1 {
				problem(at, "has the prefix %q, as another server has", s.Prefix)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Tools)) {
		if p := a.Tools[name].Price; p.PerKBOut > 0 && p.PerCall == 0 {
			d.found = append(d.found, Diagnostic{File: a.File, Field: "toolPricing." + name, Level: Warning,
				Message: "its price is known only after the call, and nothing is held for it before", Suggestion: "give it creditsPerCall too, or calls may end unpaid"})
		}
	}
	for secret := range a.ImportKeys {
		if !strings.HasPrefix(secret, "pg_") {
			problem("importKeys", `a key must begin with "pg_"`)
		}
	}
}
