package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/arc-ring/arc"

// root is the repository's directory, seen from here.
const root = "../.."

// generators is the folder of a module that pins foreign programs, and has
// little of ours.
const generators = "internal/tools"

// file is a Go source file of the repository.
type file struct {
	path      string // slashes, from the root
	dir       string // the package's directory, "." for the root
	lines     int
	test      bool
	generated bool
	fset      *token.FileSet
	syntax    *ast.File
}

var generatedLine = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// goFiles parses all Go files, in path order, those of the lab and the
// benchmark too, which are modules of their own. A file that does
// not parse fails the test.
func goFiles(t *testing.T) []file {
	t.Helper()
	var files []file
	walk(t, func(name string, content []byte) {
		if path.Ext(name) != ".go" {
			return
		}
		fset := token.NewFileSet()
		syntax, err := parser.ParseFile(fset, name, content, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("parse: %v", err)
			return
		}
		files = append(files, file{
			path: name, dir: path.Dir(name), lines: strings.Count(string(content), "\n"),
			test: strings.HasSuffix(name, "_test.go"), generated: generatedLine.Match(content),
			fset: fset, syntax: syntax,
		})
	})
	if len(files) == 0 {
		t.Fatal("found no Go file: are the tests run from their own directory?")
	}
	return files
}

// walk calls visit with every regular file of the repository, but for test data,
// hidden directories and the generators.
func walk(t *testing.T, visit func(name string, content []byte)) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin" || name == generators) {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || strings.HasSuffix(name, ".test") || name == "arc" {
			return nil
		}
		content, err := os.ReadFile(p)
		if os.IsNotExist(err) {
			return nil // an editor's temporary file
		}
		if err != nil {
			return err
		}
		visit(name, content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// imports returns the import paths of a file.
func (f file) imports() []string {
	var list []string
	for _, spec := range f.syntax.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err == nil {
			list = append(list, p)
		}
	}
	return list
}

// at is the place of a node, to print.
func (f file) at(n ast.Node) string { return f.fset.Position(n.Pos()).String() }

// within reports whether p is one of the paths or below one.
func within(p string, paths []string) bool {
	for _, each := range paths {
		if p == each || strings.HasPrefix(p, each+"/") {
			return true
		}
	}
	return false
}
