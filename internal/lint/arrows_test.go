package lint

import (
	"go/ast"
	"path"
	"strings"
	"testing"
)

// arrows says which packages of ours each package may import, tests aside. A
// name stands for all below it, the longest one that fits decides. A package
// that is not listed fails the test: decide where it belongs.
var arrows = map[string][]string{
	"ring":                           {"proto/arc/ring"},
	"election":                       {"election", "ring", "internal/mono", "internal/durations"},
	"monitor/detector":               {"ring", "internal/mono", "internal/durations"},
	"proto":                          {"proto"},
	"queue":                          {"proto", "internal"},
	"discovery":                      {"proto", "internal"},
	"client":                         {"proto", "internal"},
	"monitor":                        {"monitor/detector", "queue", "proto", "ring", "internal"},
	"coordinator":                    {"coordinator", "election", "ring", "queue", "discovery", "proto", "internal"},
	"coordinator/internal/reason":    {"discovery", "election", "ring", "internal"},
	"coordinator/internal/publish":   {"coordinator/internal/reason", "election", "ring", "proto", "internal"},
	"coordinator/internal/loop":      {"coordinator/internal/publish", "coordinator/internal/reason", "election", "ring", "proto", "internal"},
	"coordinator/internal/supervise": {"coordinator/internal/publish", "coordinator/internal/reason", "election", "ring", "queue", "proto", "internal"},
	"coordinator/internal/transport": {"election", "ring", "proto", "internal"},
	"coordinator/internal/service": {"coordinator/internal/publish", "coordinator/internal/reason", "coordinator/internal/supervise",
		"coordinator/internal/transport", "election", "ring", "proto", "internal"},
	"cmd/arc": {"cmd/arc", "coordinator", "monitor", "client", "queue", "discovery", "ring", "proto", "internal"},
	"cmd":     {"client", "proto", "internal"},

	"internal":            {"internal", "proto", "ring"},
	"internal/netlab":     {},
	"internal/membership": {"internal/durations", "internal/foreign", "internal/limits", "internal/mono", "election", "ring"},
	"internal/paths":      {"internal/durations", "internal/limits", "internal/mono"},
	"internal/peerwire":   {"internal", "election", "ring", "proto"},
	"internal/sim":        {"internal", "ring", "election", "monitor/detector"},
	"internal/trust":      {"internal/durations", "internal/foreign", "internal/limits", "internal/plainfile"},
	"internal/bench":      {"client", "internal", "proto"},
	"internal/devring":    {"client", "internal", "proto", "ring"},

	"internal/observe":     {"client", "internal/verify", "proto"},
	"internal/verify":      {},
	"internal/verify/wire": {"internal/verify", "proto"},
}

func TestArrowsBetweenPackages(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test {
			continue
		}
		rule, ok := longestPrefix(f.dir)
		if !ok {
			t.Errorf("%s: package %s has no entry in the arrows of this test", f.path, f.dir)
			continue
		}
		for _, p := range f.imports() {
			ours, ok := strings.CutPrefix(p, module+"/")
			if ok && !within(ours, arrows[rule]) {
				t.Errorf("%s: imports %s; %s may import of ours: %q", f.path, ours, rule, arrows[rule])
			}
		}
	}
}

// They are separate processes and meet in proto and queue alone, tests
// included.
func TestCoordinatorAndMonitorNeverImportEachOther(t *testing.T) {
	for _, f := range goFiles(t) {
		for _, p := range f.imports() {
			p = strings.TrimPrefix(p, module+"/")
			if within(f.dir, []string{"coordinator"}) && within(p, []string{"monitor"}) && p != "monitor/detector" ||
				within(f.dir, []string{"monitor"}) && within(p, []string{"coordinator"}) {
				t.Errorf("%s: imports %s", f.path, p)
			}
		}
	}
}

func longestPrefix(dir string) (string, bool) {
	for ; dir != "."; dir = path.Dir(dir) {
		if _, ok := arrows[dir]; ok {
			return dir, true
		}
	}
	return "", false
}

func TestOnlyMainExits(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test || f.syntax.Name.Name == "main" || within(f.dir, []string{"internal/netlab"}) {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				x, _ := s.X.(*ast.Ident)
				if x != nil && (x.Name == "os" && s.Sel.Name == "Exit" || x.Name == "log" && strings.HasPrefix(s.Sel.Name, "Fatal")) {
					t.Errorf("%s: calls %s.%s; return the error, main alone exits", f.at(s), x.Name, s.Sel.Name)
				}
			}
			return true
		})
	}
}
