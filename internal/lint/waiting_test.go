package lint

import (
	"go/ast"
	"slices"
	"testing"
)

// A test that sleeps is too slow on one machine and too fast on another.
func TestNoTestSleeps(t *testing.T) {
	const waiting = module + "/internal/testwait"
	for _, f := range goFiles(t) {
		if !f.test {
			if slices.Contains(f.imports(), waiting) {
				t.Errorf("%s: imports %s, which is for tests", f.path, waiting)
			}
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
