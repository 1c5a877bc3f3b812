package lint

import (
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// quoted matches a value and the constant that holds it, as a page quotes them:
// 100 ms (`durations.Idle`). The value may be left out.
var quoted = regexp.MustCompile("(?:([0-9]+(?: (?:ms|s|KiB|MiB))?) \\()?`(?:([a-z]+)\\.)?([a-zA-Z]+)`")

// inWords writes the value of a constant as the pages do.
var inWords = strings.NewReplacer(" * time.Millisecond", " ms", " * time.Second", " s", "time.Second", "1 s", " << 10", " KiB", " << 20", " MiB")

// TestPagesQuoteConstants keeps the design pages true: a name of one of our
// packages exists, and a value that is quoted with its constant is the one in
// the code. A name without a package is looked for in the page's own folder.
func TestPagesQuoteConstants(t *testing.T) {
	packages := map[string]bool{}
	names := map[string][]string{} // by package and name: the values, "" for what is no constant
	for _, f := range goFiles(t) {
		if f.test || f.generated {
			continue
		}
		packages[f.syntax.Name.Name] = true
		for _, decl := range f.syntax.Decls {
			for name, value := range declared(decl) {
				for _, key := range []string{f.syntax.Name.Name + "." + name, strings.Split(f.dir, "/")[0] + "/" + name} {
					names[key] = append(names[key], value)
				}
			}
		}
	}
	for _, page := range []string{"coordinator/DESIGN.md", "discovery/DESIGN.md", "monitor/DESIGN.md"} {
		text, err := os.ReadFile(path.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range quoted.FindAllStringSubmatch(strings.Join(strings.Fields(string(text)), " "), -1) {
			value, pkg, name := m[1], m[2], m[3]
			if name == "go" {
				continue // a file
			}
			key := pkg + "." + name
			if pkg == "" {
				key = path.Dir(page) + "/" + name
			}
			switch values, ok := names[key]; {
			case !ok && (value != "" || packages[pkg]):
				t.Errorf("%s: %s names what the code does not have", page, m[0])
			case value != "" && !slices.Contains(values, value):
				t.Errorf("%s: %s, but the code has %q", page, m[0], values)
			}
		}
	}
}

// declared returns the top-level names of a declaration with the values of its
// constants.
func declared(decl ast.Decl) map[string]string {
	found := map[string]string{}
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Recv == nil {
			found[decl.Name.Name] = ""
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				found[spec.Name.Name] = ""
			case *ast.ValueSpec:
				for i, name := range spec.Names {
					found[name.Name] = ""
					if decl.Tok == token.CONST && i < len(spec.Values) {
						found[name.Name] = inWords.Replace(types.ExprString(spec.Values[i]))
					}
				}
			}
		}
	}
	return found
}
