package lint

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// Packages that only tests may import, and each other.
var forTests = []string{"internal/testwait", "internal/testserver", "internal/fakearc"}

func TestTestPackagesStayInTests(t *testing.T) {
	for _, f := range goFiles(t) {
		for _, p := range f.imports() {
			if p = strings.TrimPrefix(p, module+"/"); !f.test && slices.Contains(forTests, p) && !slices.Contains(forTests, f.dir) {
				t.Errorf("%s: imports %s, which is for tests", f.path, p)
			}
		}
	}
}

// A test that sleeps is too slow on one machine and too fast on another.
func TestNoTestSleeps(t *testing.T) {
	for _, f := range goFiles(t) {
		if !f.test {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Sleep" {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" {
					t.Errorf("%s: sleeps; wait for a signal, or as internal/testwait says", f.at(s))
				}
			}
			return true
		})
	}
}
