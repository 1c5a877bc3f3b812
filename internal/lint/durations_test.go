package lint

import (
	"go/ast"
	"go/token"
	"slices"
	"testing"
)

// durationsTable is where the product's fixed durations stand.
const durationsTable = "internal/durations"

// Where a duration may be declared besides: the settings of a ring, which are a
// table of their own, and what is no part of the product.
var ownDurations = []string{
	durationsTable, "ring", "internal/sim", "internal/netlab", "internal/bench", "internal/devring", "internal/fakearc",
	"internal/testwait", "internal/observe",
}

// A timeout, an interval or a back-off has a name, a reason, and neighbours that it
// has to be longer or shorter than. It stands in the table.
func TestDurationsStandInTheTable(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test || within(f.dir, ownDurations) {
			continue
		}
		for _, d := range f.syntax.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST && g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				for _, v := range s.(*ast.ValueSpec).Values {
					if mentionsUnit(v) {
						t.Errorf("%s: a duration is declared outside of %s", f.at(s), durationsTable)
					}
				}
			}
		}
	}
}

// mentionsUnit reports whether an expression has a unit of package time in it.
func mentionsUnit(e ast.Expr) (found bool) {
	units := []string{"Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour"}
	ast.Inspect(e, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			x, _ := s.X.(*ast.Ident)
			found = found || x != nil && x.Name == "time" && slices.Contains(units, s.Sel.Name)
		}
		return true
	})
	return found
}
