package lint

import (
	"go/ast"
	"path"
	"slices"
	"strings"
	"testing"
)

// The core is made of parts: see election.Node. What these tests hold is what
// keeps it so when something new comes in.
const (
	nodeFields  = 20
	nodeMethods = 40
	// partMethods bounds every other part. The log and the rules of who is a member
	// have most.
	partMethods = 60
)

// electionStructs returns the struct types of package election, and how many methods
// each type has.
func electionStructs(t *testing.T) (structs map[string]*ast.StructType, methods map[string]int) {
	structs, methods = map[string]*ast.StructType{}, map[string]int{}
	for _, f := range goFiles(t) {
		if f.dir != "election" || f.test {
			continue
		}
		for _, d := range f.syntax.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv != nil {
					methods[typeName(d.Recv.List[0].Type)]++
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if ts, ok := s.(*ast.TypeSpec); ok {
						if st, ok := ts.Type.(*ast.StructType); ok {
							structs[ts.Name.Name] = st
						}
					}
				}
			}
		}
	}
	if structs["Node"] == nil || structs["base"] == nil {
		t.Fatal("election.Node or its base is not found")
	}
	return structs, methods
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

func countFields(st *ast.StructType) (n int) {
	for _, f := range st.Fields.List {
		n += max(len(f.Names), 1)
	}
	return n
}

func TestTheNodeStaysSmall(t *testing.T) {
	structs, methods := electionStructs(t)
	if n := countFields(structs["Node"]); n > nodeFields {
		t.Errorf("election.Node has %d fields, at most %d: which part does the new one belong to?", n, nodeFields)
	}
	if n := methods["Node"]; n > nodeMethods {
		t.Errorf("election.Node has %d methods, at most %d: which part does the new one belong to?", n, nodeMethods)
	}
	for name, n := range methods {
		if n > partMethods {
			t.Errorf("election.%s has %d methods, at most %d: is it two parts?", name, n, partMethods)
		}
	}
}

// What is known of the members is kept in tables, which have an order.
func TestNoMapByMember(t *testing.T) {
	structs, _ := electionStructs(t)
	for name, st := range structs {
		for _, f := range st.Fields.List {
			if m, ok := f.Type.(*ast.MapType); ok && typeName(m.Key) == "uint64" {
				t.Errorf("election.%s has a map by uint64: use a tracker.Table", name)
			}
		}
	}
}

// A part knows those below it and none above. Go would not mind a circle.
func TestPartsHaveAnOrder(t *testing.T) {
	structs, _ := electionStructs(t)
	isPart := func(name string) bool { // all that have the base, or have a part that has it
		for name != "base" {
			st := structs[name]
			if st == nil || len(st.Fields.List) == 0 || len(st.Fields.List[0].Names) > 0 {
				return false
			}
			name = typeName(st.Fields.List[0].Type)
		}
		return true
	}
	var walk func(name string, above []string)
	walk = func(name string, above []string) {
		if slices.Contains(above, name) {
			t.Fatalf("these parts of election know one another in a circle: %s", strings.Join(append(above, name), " > "))
		}
		for _, f := range structs[name].Fields.List {
			if star, ok := f.Type.(*ast.StarExpr); ok && isPart(typeName(star)) {
				walk(typeName(star), append(slices.Clone(above), name))
			}
		}
	}
	parts := 0
	for name := range structs {
		if isPart(name) {
			parts++
			walk(name, nil)
		}
	}
	if parts < 20 {
		t.Errorf("%d parts found, there are more", parts)
	}
}

// One part touches raft's RawNode. The word of a voter and the lease of a leader know
// no raft at all.
func TestOnlyTheReplicaTouchesRaft(t *testing.T) {
	structs, _ := electionStructs(t)
	for _, name := range []string{"promises", "lease"} {
		for _, f := range structs[name].Fields.List {
			if n := typeName(f.Type); n == "replica" || n == "leadership" {
				t.Errorf("election.%s knows raft by %s", name, n)
			}
		}
	}
	for _, f := range goFiles(t) {
		if f.dir != "election" || f.test || path.Base(f.path) == "replica.go" {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && (s.Sel.Name == "rn" || s.Sel.Name == "RawNode" || s.Sel.Name == "NewRawNode") {
				t.Errorf("%s: touches raft's RawNode", f.path)
			}
			return true
		})
	}
}
