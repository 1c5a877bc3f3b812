package lint

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	// A row of docs/limits.md: | `Name` | value | one over it | tests |
	limitRow = regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\| ([0-9,]+)( bytes| KiB| MiB|) \\| .+ \\| (.+) \\|$")
	// A test as a row names it: `folder.TestName`
	limitTest = regexp.MustCompile("`([a-z0-9/]+)\\.(Test[A-Za-z]+)`")
)

// Each limit has a row in docs/limits.md with its value, and a test there that speaks of
// it. No other rows are there.
func TestLimitsAreDocumentedAndTested(t *testing.T) {
	page, err := os.ReadFile(path.Join(root, "docs", "limits.md"))
	if err != nil {
		t.Fatal(err)
	}
	values := limitValues(t)
	speaks := map[string]map[string]bool{} // by folder and test, the limits that it speaks of
	for _, f := range goFiles(t) {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.test && strings.HasPrefix(fn.Name.Name, "Test") {
				speaks[f.dir+"."+fn.Name.Name] = limitsIn(fn)
			}
		}
	}
	listed := map[string]bool{}
	for _, row := range limitRow.FindAllStringSubmatch(string(page), -1) {
		name, tests := row[1], limitTest.FindAllStringSubmatch(row[4], -1)
		value, err := strconv.ParseInt(strings.ReplaceAll(row[2], ",", ""), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		value *= map[string]int64{"": 1, " bytes": 1, " KiB": 1 << 10, " MiB": 1 << 20}[row[3]]
		switch real, ok := values[name]; {
		case !ok:
			t.Errorf("docs/limits.md: internal/limits has no %s", name)
		case value != real:
			t.Errorf("docs/limits.md: %s is %d, but %s%s there", name, real, row[2], row[3])
		case listed[name]:
			t.Errorf("docs/limits.md: %s is there twice", name)
		case len(tests) == 0:
			t.Errorf("docs/limits.md: %s names no test that goes one over it", name)
		}
		listed[name] = true
		for _, test := range tests {
			if key := test[1] + "." + test[2]; !speaks[key][name] {
				t.Errorf("docs/limits.md: %s names %s, where there is no test that speaks of limits.%s", name, key, name)
			}
		}
	}
	for name := range values {
		if !listed[name] {
			t.Errorf("internal/limits: %s has no row in docs/limits.md: say what happens one over it, and which test goes there", name)
		}
	}
}

// limitValues are the exported constants of the table.
func limitValues(t *testing.T) map[string]int64 {
	t.Helper()
	values := map[string]int64{}
	for _, f := range goFiles(t) {
		if f.path != "internal/limits/table.go" {
			continue
		}
		pkg, err := new(types.Config).Check(f.dir, f.fset, []*ast.File{f.syntax}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range pkg.Scope().Names() {
			if c, ok := pkg.Scope().Lookup(name).(*types.Const); ok && token.IsExported(name) {
				values[name], _ = constant.Int64Val(c.Val())
			}
		}
	}
	if len(values) == 0 {
		t.Fatal("the table of limits has none")
	}
	return values
}

// limitsIn are the names of package limits in a function.
func limitsIn(fn *ast.FuncDecl) map[string]bool {
	names := map[string]bool{}
	ast.Inspect(fn, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "limits" {
				names[s.Sel.Name] = true
			}
		}
		return true
	})
	return names
}
