package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paygate/server/config"
)

func TestNoServerIsGivenTheFolderThatHoldsTheState(t *testing.T) {
	t.Parallel()
	type want struct {
		far  bool   // the state is in the user's folder
		says string // what is found
		bad  bool
	}
	for name, c := range map[string]struct {
		args    string
		made    []string // folders that exist already
		flags   map[string]string
		noHome  bool
		want    want
		linkAll bool
	}{
		"a server of something else":       {args: `["-y", "some-server", "./none"]`},
		"a server of this folder":          {args: `["-y", "files", "."]`, want: want{far: true}},
		"with an option":                   {args: `["--root=."]`, want: want{far: true}},
		"with an address":                  {args: `["file://HERE"]`, want: want{far: true}},
		"by a link":                        {args: `["link"]`, linkAll: true, want: want{far: true}},
		"of the folder above":              {args: `[".."]`, want: want{far: true}},
		"of a folder beside":               {args: `["docs"]`, made: []string{"docs"}},
		"a state that is here already":     {args: `["."]`, made: []string{".paygate"}, want: want{says: "could reach the state", bad: true}},
		"a state that is there already":    {args: `["docs"]`, made: []string{"FAR"}, want: want{far: true}},
		"the owner named the place":        {args: `["."]`, flags: map[string]string{"stateDir": "mine"}, want: want{says: "warning"}},
		"nowhere else to go":               {args: `["."]`, noHome: true, want: want{says: "--state-dir", bad: true}},
		"the user's folder is given too":   {args: `["HOME"]`, want: want{}},
		"both folders are given to it":     {args: `[".", "HOME"]`, want: want{far: true, says: "--state-dir", bad: true}},
		"a server without any such folder": {args: `[]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			here, home := filepath.Join(t.TempDir(), "here"), t.TempDir()
			if err := os.Mkdir(here, 0o700); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(here, "paygate.json")
			load := func(args string) (*config.All, []config.Diagnostic) {
				args = strings.NewReplacer("HERE", here, "HOME", home).Replace(args)
				if err := os.WriteFile(file, []byte(`{"serverCommand": "npx", "serverArgs": `+args+`, "cwd": "`+here+`"}`), 0o600); err != nil {
					t.Fatal(err)
				}
				src := config.Source{File: file, Flags: map[string]string{}, UserDir: home}
				if c.noHome {
					src.UserDir = ""
				}
				for k, v := range c.flags {
					src.Flags[k] = filepath.Join(here, v)
				}
				return config.Load(src)
			}
			far, _ := load(`["."]`)
			for _, dir := range c.made {
				if dir = strings.ReplaceAll(dir, "FAR", far.StateDir); !filepath.IsAbs(dir) {
					dir = filepath.Join(here, dir)
				}
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if c.linkAll {
				if err := os.Symlink(here, filepath.Join(here, "link")); err != nil {
					t.Fatal(err)
				}
			}
			a, found := load(c.args)
			if got := strings.HasPrefix(a.StateDir, home); !c.want.bad && got != c.want.far {
				t.Errorf("the state is in %s", a.StateDir)
			}
			if config.Failed(found) != c.want.bad || !strings.Contains(said(found), c.want.says) || (c.want.says == "") != (len(found) == 0) {
				t.Errorf("it says %q", said(found))
			}
		})
	}
}

func TestSecretsInAFileThatCallersCouldReadAreWarnedOf(t *testing.T) {
	t.Parallel()
	here, home := t.TempDir(), t.TempDir()
	file := filepath.Join(here, "paygate.json")
	for text, want := range map[string]string{
		`{"serverCommand": "npx", "serverArgs": ["HERE"], "adminKey": "admin_0123456789abcdef"}`:      "could read this file and its secrets",
		`{"serverCommand": "npx", "serverArgs": ["HERE"]}`:                                            "",
		`{"serverCommand": "npx", "serverArgs": ["HERE/docs"], "adminKey": "admin_0123456789abcdef"}`: "",
	} {
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "HERE", here)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, found := config.Load(config.Source{File: file, UserDir: home})
		if got := said(found); (want == "") != (got == "") || !strings.Contains(got, want) || config.Failed(found) {
			t.Errorf("%s: %q", text, got)
		}
	}
}
