package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// The packages that know no goroutine, socket, file, clock or chance, so that
// a simulator can run them in virtual time.
var pure = []string{"ring", "election", "election/internal/tracker", "monitor/detector", "internal/membership", "internal/mono", "internal/verify", "internal/durations", "internal/connect/policy", "internal/paths"}

// What the pure packages may import besides each other (see the arrows).
var (
	impureStandard = []string{
		"net", "os", "io/fs", "io/ioutil", "path/filepath", "syscall", "log", "math/rand", "crypto/rand",
		"sync", "context", "runtime", "plugin", "database", "testing",
	}
	pureStandardBelow = []string{"net/netip"}
	pureThirdParty    = []string{"go.etcd.io/raft/v3", "google.golang.org/protobuf", module}
	// The only names of package time that read no clock.
	pureTime = []string{
		"Duration", "Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour", "ParseDuration",
	}
)

func TestPurePackages(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test || !slices.Contains(pure, f.dir) {
			continue
		}
		for _, complaint := range impurities(f) {
			t.Errorf("%s\n\t%s is pure: time, chance and messages come in as arguments, effects go out as values", complaint, f.dir)
		}
	}
}

func impurities(f file) []string {
	var found []string
	for _, p := range f.imports() {
		standard := !strings.Contains(strings.SplitN(p, "/", 2)[0], ".")
		switch {
		case standard && within(p, impureStandard) && !within(p, pureStandardBelow):
			found = append(found, f.path+": imports "+p)
		case !standard && !within(p, pureThirdParty):
			found = append(found, f.path+": imports "+p)
		}
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, f.at(n)+": starts a goroutine")
		case *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
			found = append(found, f.at(n)+": uses a channel")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(f.imports(), "time") &&
				!slices.Contains(pureTime, n.Sel.Name) {
				found = append(found, f.at(n)+": uses time."+n.Sel.Name)
			}
		}
		return true
	})
	return found
}

// The rule itself has to bite.
func TestImpuritiesAreFound(t *testing.T) {
	for source, want := range map[string]int{
		"package x\nimport \"net/netip\"\nvar _ netip.Addr":                         0,
		"package x\nimport \"time\"\nconst lease = 3 * time.Second":                 0,
		"package x\nimport \"net\"\nvar _ net.Conn":                                 1,
		"package x\nimport \"math/rand/v2\"\nvar _ = rand.Int()":                    1,
		"package x\nimport \"github.com/hashicorp/go-hclog\"\nvar _ hclog.Logger":   1,
		"package x\nimport \"time\"\nvar _ = time.Now()":                            1,
		"package x\nimport \"time\"\nfunc f(t *time.Timer) { <-time.After(1) }":     2,
		"package x\nfunc f() { go f() }":                                            1,
		"package x\nfunc f(c chan int) { c <- 1 }":                                  2,
		"package x\nimport \"os\"\nimport \"time\"\nvar a, b = os.Args, time.Now()": 2,
	} {
		fset := token.NewFileSet()
		syntax, err := parser.ParseFile(fset, "x.go", source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := impurities(file{path: "x.go", fset: fset, syntax: syntax}); len(got) != want {
			t.Errorf("%s\n\tfound %q, want %d", source, got, want)
		}
	}
}
