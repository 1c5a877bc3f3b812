package lint

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var generated = flag.Bool("generated", false, "also generate the code of proto/ again and compare it (builds the generators the first time)")

// The committed code is what the pinned generators make of the .proto files.
func TestGeneratedCodeIsFresh(t *testing.T) {
	if !*generated {
		t.Skip("building the generators takes a while: run with -generated, as scripts/lint does")
	}
	fresh := t.TempDir()
	cmd := exec.Command("scripts/proto", "-o", fresh)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("scripts/proto: %v\n%s", err, out)
	}
	want := generatedFiles(t, fresh)
	have := generatedFiles(t, root)
	if len(want) == 0 {
		t.Fatal("scripts/proto generated nothing")
	}
	for name, content := range want {
		if !bytes.Equal(have[name], content) {
			t.Errorf("%s is stale: run scripts/proto and commit what it changes", name)
		}
	}
	for name := range have {
		if _, ok := want[name]; !ok {
			t.Errorf("%s comes from no .proto file: remove it", name)
		}
	}
}

func generatedFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(filepath.Join(dir, "proto"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(p, ".pb.go") {
			return err
		}
		name, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		files[name], err = os.ReadFile(p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
