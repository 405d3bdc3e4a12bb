package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The rules of the house are tests: what they refuse cannot land.

const (
	mostFileLines = 400 // aim under 200
	mostFuncLines = 60  // aim under 25
)

// source is a file that is no test.
type source struct {
	path, pkg string
	file      *ast.File
	set       *token.FileSet
}

func sources(t *testing.T, without ...string) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || slices.Contains(without, d.Name())) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		out = append(out, source{filepath.ToSlash(path), filepath.ToSlash(filepath.Dir(path)), file, set})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPackagesImportOnlyWhatTheTableAllows(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("testdata/house/imports.txt")
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string][]string{}
	for line := range strings.Lines(string(table)) {
		if pkg, to, ok := strings.Cut(strings.TrimSpace(line), "->"); ok && !strings.HasPrefix(line, "#") {
			allowed[strings.TrimSpace(pkg)] = strings.Fields(to)
		}
	}
	for _, s := range sources(t, "testdata") {
		if _, ok := allowed[s.pkg]; !ok {
			t.Errorf("%s: package %s is not in testdata/house/imports.txt", s.path, s.pkg)
		}
		for _, spec := range s.file.Imports {
			if to, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), "paygate/"); ours && !slices.Contains(allowed[s.pkg], to) {
				t.Errorf("%s: package %s may not import %s", s.path, s.pkg, to)
			}
		}
	}
}

func TestFilesAndFunctionsFitAScreen(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) { // what tests are made of is read, too
		if n := s.set.File(s.file.Pos()).LineCount(); n > mostFileLines {
			t.Errorf("%s: %d lines; split it by subject", s.path, n)
		}
		for _, decl := range s.file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line + 1; n > mostFuncLines {
				t.Errorf("%s: %s has %d lines", s.path, f.Name.Name, n)
			}
			if f.Name.Name == "init" && f.Recv == nil {
				t.Errorf("%s: an init function; say it where it is used", s.path)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsAndHasAName(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, s := range sources(t, "testdata") {
		documented[s.pkg] = documented[s.pkg] || s.file.Doc != nil
		if slices.Contains([]string{"util", "utils", "common", "helpers", "helper", "base", "types", "misc", "manager"}, s.file.Name.Name) {
			t.Errorf("%s: %q names nothing", s.path, s.file.Name.Name)
		}
	}
	for pkg, ok := range maps.All(documented) {
		if !ok {
			t.Errorf("package %s has no comment that says what it owns", pkg)
		}
	}
}

func TestNothingIsLeftUndoneOrSkipped(t *testing.T) {
	t.Parallel()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || path == "house_test.go" || strings.Contains(path, "node_modules") {
			return err
		}
		text, err := os.ReadFile(path)
		words := []string{"TODO", "FIXME"}
		if !strings.Contains(string(text), "pgregory.net/rapid") { // a step of a model may not apply
			words = append(words, "t.Skip")
		}
		if !strings.Contains(string(text), "testing/synctest") && !strings.HasPrefix(filepath.ToSlash(path), "testdata/") { // in a bubble time is made up
			words = append(words, "time.Sleep(")
		}
		for _, word := range words {
			if strings.Contains(string(text), word) {
				t.Errorf("%s: %s", path, word)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
