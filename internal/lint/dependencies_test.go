package lint

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A row of docs/dependencies.md: | `module` | reason | licence |
var dependencyRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.+) \\| (.+) \\|$")

// inTurn is the heading of what we do not import ourselves. scripts/supply
// compares those rows, and all licences, with what is built.
const inTurn = "\n## What those need in turn\n"

// Every module whose packages we import has a row with the reason and the
// licence, and nothing else has one.
func TestDependenciesHaveReasons(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	ours, _, found := strings.Cut(string(page), inTurn)
	if !found {
		t.Errorf("docs/dependencies.md lacks the heading %q", inTurn)
	}
	for _, row := range dependencyRow.FindAllStringSubmatch(ours, -1) {
		if listed[row[1]] {
			t.Errorf("docs/dependencies.md lists %s twice", row[1])
		}
		listed[row[1]] = true
	}

	var required []string
	for _, dir := range []string{"", "internal/netlab", "internal/bench"} {
		required = append(required, requirements(t, dir)...)
	}
	used := map[string]string{}
	for _, f := range goFiles(t) {
		for _, p := range f.imports() {
			if m := moduleOf(p, required); m != "" && !within(p, []string{module}) {
				used[m] = f.path
			}
		}
	}
	for m, user := range used {
		if !listed[m] {
			t.Errorf("%s (imported by %s) has no row in docs/dependencies.md: give the reason and the licence", m, user)
		}
	}
	for m := range listed {
		if used[m] == "" {
			t.Errorf("docs/dependencies.md lists %s, which nothing imports", m)
		}
	}
}

// An importer of ARC gets what our go.mod requires, and does not see what it
// replaces. So the lab, the benchmark and what they need stay out of it.
func TestTheProductStandsAlone(t *testing.T) {
	for _, m := range requirements(t, "") {
		if within(m, []string{module}) {
			t.Errorf("go.mod requires %s: nothing outside of that folder may import it", m)
		}
	}
	content, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(content), "replace") {
		t.Error("go.mod replaces a module, which go install does not accept")
	}
}

// All our modules are built with one release of Go: that of the product.
func TestModulesNameOneReleaseOfGo(t *testing.T) {
	line := regexp.MustCompile(`(?m)^toolchain (go\d+\.\d+\.\d+)$`)
	want := ""
	for _, dir := range []string{"", "internal/bench", "internal/netlab", generators} {
		content, err := os.ReadFile(filepath.Join(root, dir, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		named := line.FindStringSubmatch(string(content))
		switch {
		case named == nil:
			t.Errorf("%s names no toolchain", filepath.Join(dir, "go.mod"))
		case want == "":
			want = named[1]
		case named[1] != want:
			t.Errorf("%s names %s, go.mod names %s", filepath.Join(dir, "go.mod"), named[1], want)
		}
	}
}

// requirements returns the module paths in a folder's go.mod.
func requirements(t *testing.T, dir string) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, m := range regexp.MustCompile(`(?m)^(?:require )?\t?([^\s/]+\.[^\s/]+/\S+|[^\s/]+\.[^\s/]+) v\S+`).FindAllStringSubmatch(string(content), -1) {
		paths = append(paths, m[1])
	}
	if len(paths) == 0 {
		t.Fatalf("found no requirement in %s", filepath.Join(dir, "go.mod"))
	}
	return paths
}

// moduleOf returns the longest required module that holds the package.
func moduleOf(importPath string, required []string) string {
	best := ""
	for _, m := range required {
		if (importPath == m || strings.HasPrefix(importPath, m+"/")) && len(m) > len(best) {
			best = m
		}
	}
	return best
}
