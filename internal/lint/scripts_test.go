package lint

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A script that is asked for help does nothing else, and one that is called
// wrongly says so.
func TestScriptsExplainThemselves(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join(root, "scripts"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if slices.Contains([]string{"alarms", "bench"}, e.Name()) {
			continue // they build programs that have their own help, and tests of it
		}
		for arg, want := range map[string]int{"--help": 0, "--nosuch": 2} {
			t.Run(e.Name()+" "+arg, func(t *testing.T) {
				t.Parallel()
				var said bytes.Buffer
				cmd := exec.CommandContext(t.Context(), filepath.Join(root, "scripts", e.Name()), arg)
				cmd.Stdout, cmd.Stderr = &said, &said
				_ = cmd.Run() // judged by its code
				text := said.String()
				if code := cmd.ProcessState.ExitCode(); code != want || !strings.Contains(text, "Usage:\n\n  scripts/") || !strings.Contains(text, "scripts/"+e.Name()) {
					t.Errorf("it exits %d, want %d, and says:\n%s", code, want, text)
				}
			})
		}
	}
}
