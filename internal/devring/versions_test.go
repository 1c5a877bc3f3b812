package devring

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// previousFile names the version before and its commit. A release writes its own
// name there, so that the next one is tested beside it.
const previousFile = "testdata/previous-version"

var previousLine = regexp.MustCompile(`^(v\d+\.\d+\.\d+) ([0-9a-f]{40})\n$`)

// previous is the program of the version before, built once from its commit.
var previous = sync.OnceValues(func() (path string, err error) {
	text, err := os.ReadFile(previousFile)
	if err != nil {
		return "", err
	}
	named := previousLine.FindStringSubmatch(string(text))
	if named == nil {
		return "", fmt.Errorf("%s holds %q, want a version, a blank, its commit in full, and nothing else", previousFile, text)
	}
	version, commit := named[1], named[2]
	if err := exec.Command("git", "cat-file", "-e", commit+"^{commit}").Run(); err != nil {
		return "", missing{version, commit, whyMissing()}
	}
	// Its folder is not part of what it is made of, so that the build's cache
	// serves the next run too.
	dir := filepath.Join(buildDir, version)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	archive := exec.Command("git", "archive", "--format=tar", commit)
	archive.Dir = "../.." // the whole tree
	tar, err := archive.Output()
	if err != nil {
		return "", fmt.Errorf("git archive %s: %w", commit, err)
	}
	extract := exec.Command("tar", "-x", "-C", dir)
	extract.Stdin = bytes.NewReader(tar)
	if out, err := extract.CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpack %s: %w\n%s", version, err, out)
	}
	path = filepath.Join(buildDir, "arc-"+version)
	build := exec.Command("go", "build", "-trimpath", "-o", path, "./cmd/arc")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s of commit %s: %w\n%s", version, commit, err, out)
	}
	return path, nil
})

// missing says that the repository lacks the commit of the version before.
type missing struct {
	version, commit string
	// excuse is why that can be; empty if the named commit is wrong.
	excuse string
}

func (m missing) Error() string {
	if m.excuse == "" {
		return fmt.Sprintf("%s says that %s is commit %s, which this repository does not have", previousFile, m.version, m.commit)
	}
	return fmt.Sprintf("%s, so the commit of %s (%s) is not there to be built: run git fetch --unshallow, or test in a full clone", m.excuse, m.version, m.commit)
}

// whyMissing returns why an existing commit may not be here.
func whyMissing() string {
	shallow, err := exec.Command("git", "rev-parse", "--is-shallow-repository").Output()
	switch {
	case err != nil:
		return "this is no git repository"
	case strings.TrimSpace(string(shallow)) == "true":
		return "this clone is shallow"
	}
	return ""
}

// twoVersions returns the programs of the version before and of this one. The test
// is skipped in a shallow clone.
func twoVersions(t *testing.T) (before, now string) {
	t.Helper()
	now = binary(t)
	before, err := previous()
	if m, ok := err.(missing); ok && m.excuse != "" {
		t.Skip(err)
	}
	must(t, err)
	return before, now
}

// runs fails unless the node's coordinator and monitor are of its program.
func runs(t *testing.T, n *Node) {
	t.Helper()
	monitor, err := n.MonitorPID()
	must(t, err)
	for what, pid := range map[string]int{"coordinator": n.PID(), "monitor": monitor} {
		if image, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err != nil || image != n.arc {
			t.Errorf("the %s of %s is %s, %v; want %s", what, n.name, image, err, n.arc)
		}
	}
}
