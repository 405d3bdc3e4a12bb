package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// place chooses the state folder: the one that is set, or the one where a state
// is already, or .paygate beside the file. A server that is given the folder
// beside the file, as a server of files is, would hand its callers the admin
// key, so then the state is in the user's own folder.
func (d *decoder) place(a *All, src Source) {
	if a.StateDir != "" {
		if s, arg := a.exposing(a.StateDir); s != nil {
			d.found = append(d.found, Diagnostic{Field: "stateDir", Level: Warning, Message: exposed(a.StateDir, s, arg), Suggestion: "name a folder outside of it with --state-dir"})
		}
		return
	}
	base := filepath.Dir(src.File)
	near, far := filepath.Join(base, ".paygate"), ownFolder(base, src.UserDir)
	refuse := func(s *Server, arg, suggestion string) {
		d.found = append(d.found, Diagnostic{Field: "stateDir", Level: Bad, Message: exposed(a.StateDir, s, arg), Suggestion: suggestion})
	}
	a.StateDir = near
	s, arg := a.exposing(near)
	switch {
	case s != nil && exists(near):
		refuse(s, arg, fmt.Sprintf("move it (mv %s DIR) and name its new place with --state-dir DIR", near))
	case far != "" && (s != nil || !exists(near) && exists(far)):
		a.StateDir = far
	}
	if s, arg = a.exposing(a.StateDir); s != nil && !exists(near) {
		refuse(s, arg, "name a folder outside of it with --state-dir DIR")
	}
}

// guardFile warns of secrets in a file that a server's callers could read.
func (d *decoder) guardFile(a *All) {
	if a.File == "" {
		return
	}
	s, arg := a.exposing(a.File)
	secret := a.AdminKey != "" || len(a.ImportKeys) > 0
	for i := range a.Servers {
		secret = secret || len(a.Servers[i].Env)+len(a.Servers[i].Headers) > 0
	}
	if s != nil && secret {
		d.found = append(d.found, Diagnostic{File: a.File, Level: Warning, Message: fmt.Sprintf("whoever calls the server %q could read this file and its secrets, because its argument %q holds it", strings.TrimSpace(s.Prefix+" "+s.Command), arg),
			Suggestion: "keep the file elsewhere"})
	}
}

func exposed(dir string, s *Server, arg string) string {
	return fmt.Sprintf("whoever calls the server %q could reach the state in %s, with its admin key, because its argument %q holds that folder", strings.TrimSpace(s.Prefix+" "+s.Command), dir, arg)
}

// ownFolder is where the state of a gateway that runs in base is, if it cannot
// be there.
func ownFolder(base, userDir string) string {
	whole, err := filepath.Abs(base)
	if err != nil || userDir == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(whole))
	return filepath.Join(userDir, "paygate", filepath.Base(whole)+"-"+hex.EncodeToString(sum[:4]))
}

func exists(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir()
}

// exposing finds a server that is given a folder which holds dir, and the
// argument that gives it.
func (a *All) exposing(dir string) (*Server, string) {
	for i := range a.Servers {
		if arg := a.Servers[i].Exposes(dir); arg != "" {
			return &a.Servers[i], arg
		}
	}
	return nil, ""
}

// Exposes finds an argument of a server's command that names dir or a folder
// that holds it; "" if none does.
func (s *Server) Exposes(dir string) string {
	inner := real(dir)
	for _, arg := range s.Args {
		path := arg
		if strings.HasPrefix(arg, "-") {
			_, path, _ = strings.Cut(arg, "=")
		}
		path = strings.TrimPrefix(path, "file://")
		if path == "" {
			continue
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(s.Dir, path)
		}
		if !exists(path) {
			continue
		}
		if rel, err := filepath.Rel(real(path), inner); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			return arg
		}
	}
	return ""
}

// real is a path without links, absolute, as far as it exists.
func real(path string) string {
	whole, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if found, err := filepath.EvalSymlinks(whole); err == nil {
		return found
	}
	if parent := filepath.Dir(whole); parent != whole {
		return filepath.Join(real(parent), filepath.Base(whole))
	}
	return whole
}
