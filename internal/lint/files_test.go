package lint

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

const (
	longestFile = 500 // lines
	longestMain = 40
)

func TestEveryPackageHasADoc(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range goFiles(t) {
		if f.test {
			continue
		}
		if !documented[f.dir] {
			documented[f.dir] = false
		}
		if path.Base(f.path) != "doc.go" {
			continue
		}
		text := f.syntax.Doc.Text()
		want := "Package " + f.syntax.Name.Name
		if f.syntax.Name.Name == "main" {
			want = "Command " + path.Base(f.dir)
		}
		if !strings.HasPrefix(text, want+" ") || len(text) < 80 {
			t.Errorf("%s: its comment has to begin with %q and to say what the package decides and does not guarantee", f.path, want)
		}
		documented[f.dir] = true
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s: has no doc.go", dir)
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.generated {
			continue
		}
		limit := longestFile
		if path.Base(f.path) == "main.go" && f.syntax.Name.Name == "main" {
			limit = longestMain
		}
		if f.lines > limit {
			t.Errorf("%s: %d lines, at most %d: split it by decision", f.path, f.lines, limit)
		}
	}
}

func TestNothingIsLeftToDo(t *testing.T) {
	mark := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	walk(t, func(name string, content []byte) {
		switch path.Ext(name) {
		case ".go", ".proto", ".md", ".toml", ".yaml", "":
		default:
			return
		}
		for i, line := range strings.Split(string(content), "\n") {
			if mark.MatchString(line) {
				t.Errorf("%s:%d: %s: do it, or say in the docs that it is not done", name, i+1, strings.TrimSpace(line))
			}
		}
	})
}
