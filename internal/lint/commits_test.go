package lint

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestMessagesOfCommits(t *testing.T) {
	const body = "\n\nWhat was, what is now.\n"
	for _, c := range []struct{ name, message, want string }{
		{"as it should be", "ring: close the gap" + body, ""},
		{"two folders", "coordinator/transport, cmd/arc: close the gap" + body, ""},
		{"with a trailer", "ring: close the gap" + body + "\nSigned-off-by: N <n@n>\n", ""},
		{"with the editor's comments", "ring: close the gap" + body + "# Changes to be committed:\n", ""},
		{"no folder", "close the gap" + body, "form"},
		{"a capital", "ring: Close the gap" + body, "form"},
		{"long", "ring: " + strings.Repeat("a", 67) + body, "73 characters"},
		{"long in bytes alone", "ring: a" + strings.Repeat("é", 65) + body, ""},
		{"full stop", "ring: close the gap." + body, "full stop"},
		{"no empty line", "ring: close the gap\nsince it was open\n", "no empty line"},
		{"no body", "ring: close the gap\n", "no body"},
		{"trailers alone", "ring: close the gap\n\nSigned-off-by: N <n@n>\n", "no body"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "message")
			if err := os.WriteFile(name, []byte(c.message), 0o644); err != nil {
				t.Fatal(err)
			}
			said, err := exec.Command(filepath.Join(root, "scripts", "commits"), name).CombinedOutput()
			if (err != nil) != (c.want != "") || !strings.Contains(string(said), c.want) {
				t.Errorf("it ended with %v and said %q, want %q in it", err, said, c.want)
			}
		})
	}
}

// What is on main is not checked again, also where not all of it is known.
func TestWhichCommitsAreChecked(t *testing.T) {
	script, err := os.ReadFile(filepath.Join(root, "scripts", "commits"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		args = append([]string{"-C", dir, "-c", "user.name=n", "-c", "user.email=n@n"}, args...)
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v: %s", args, err, out)
		}
	}
	passes := func(dir string) bool { return exec.Command(filepath.Join(dir, "scripts", "commits")).Run() == nil }

	git("init", "-q", "-b", "main")
	if err := os.Mkdir(filepath.Join(dir, "scripts"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "scripts", "commits"), script, 0o755); err != nil {
		t.Fatal(err)
	}
	git("add", ".")
	git("commit", "-q", "-m", "An old one")
	git("checkout", "-q", "-b", "work")
	if passes(dir) {
		t.Error("nothing is new, but the newest commit was not checked")
	}
	git("commit", "-q", "--allow-empty", "-m", "ring: close the gap\n\nIt was open.")
	if !passes(dir) {
		t.Error("what is on main was checked again")
	}
	shallow := filepath.Join(t.TempDir(), "shallow")
	git("clone", "-q", "--depth", "1", "file://"+dir, shallow)
	if !passes(shallow) {
		t.Error("the newest commit of a shallow clone is as it should be, but did not pass")
	}
	git("commit", "-q", "--allow-empty", "-m", "A new one")
	git("commit", "-q", "--allow-empty", "-m", "ring: close the gap\n\nIt was open.")
	if passes(dir) {
		t.Error("a commit that is not on main was not checked")
	}
}
