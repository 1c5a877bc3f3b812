package sim

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mutationSeeds is how many seeds may be needed.
const mutationSeeds = "2000"

// mutate makes the sources for the build; it returns the overlay's file.
func mutate(t *testing.T, root, dir string) string {
	t.Helper()
	sources := map[string]string{}
	for _, m := range slices.Concat(mutations, relapses) {
		for _, e := range m.edits {
			src, ok := sources[e.file]
			if !ok {
				b, err := os.ReadFile(filepath.Join(root, e.file))
				if err != nil {
					t.Fatal(err)
				}
				src = string(b)
			}
			if k := strings.Count(src, e.old); k != 1 {
				t.Errorf("mutation %q no longer fits %s: its place is there %d times, want once:\n%s", m.name, e.file, k, e.old)
				continue
			}
			sources[e.file] = strings.Replace(src, e.old, strings.ReplaceAll(e.new, "MUTANT", "(mutant == "+jsonString(m.name)+")"), 1)
		}
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	add := func(file, src string) {
		changed := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(changed, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[filepath.Join(root, file)] = changed
	}
	for file, src := range sources {
		add(file, src)
	}
	for _, pkg := range []string{"election", "ring", "internal/sim", "internal/paths", "monitor/detector"} {
		add(pkg+"/mutant.go", "package "+path.Base(pkg)+"\n\nimport \"os\"\n\nvar mutant = os.Getenv(\"ARC_MUTANT\")\n")
	}
	b, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func jsonString(s string) string {
	b, _ := json.Marshal(s) // a string always encodes
	return string(b)
}

var keepBroken = flag.String("broken", "", "keep the simulator with all mutations in this file; ARC_MUTANT=NAME switches one on")

// brokenSoak builds the simulator's command with all mutations in it.
func brokenSoak(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := mutate(t, root, dir)
	soak := filepath.Join(dir, "soak")
	if *keepBroken != "" {
		soak = *keepBroken
	}
	build := exec.Command("go", "build", "-overlay", overlay, "-o", soak, "./internal/sim/soak")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the broken core: %v\n%s", err, out)
	}
	return soak
}

var failed = regexp.MustCompile(`(?m)^seed (\d+): FAIL (\S+) broken (.*)$`)

// TestMutationsFit finds out without a build whether a change of the sources
// took the place of a mutation away.
func TestMutationsFit(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	mutate(t, root, t.TempDir())
}

// TestTheChecksBite breaks the core in many ways and demands that each is
// found: a check that never fails would prove nothing.
func TestTheChecksBite(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("-short or the race detector: builds a binary and runs thousands of seeds")
	}
	soak := brokenSoak(t)
	for _, m := range mutations {
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			// Only the checks that are expected to find it.
			skip := slices.Clone(openChecks)
			if len(m.checks) > 0 {
				skip = nil
				for _, c := range allChecks {
					if !slices.Contains(m.checks, c) {
						skip = append(skip, c)
					}
				}
			}
			if r := Run(Options{Seed: uint64(m.seed), Nodes: m.nodes, Skip: skip}); r.Failure != nil {
				report(t, r) // the whole core must pass where the broken one does not
			}
			find := func(start, seeds string) []string {
				run := exec.Command(soak, "--start", start, "--seeds", seeds, "--nodes", strconv.Itoa(m.nodes), "--stats=false", "--skip", strings.Join(skip, ","))
				run.Env = append(os.Environ(), "ARC_MUTANT="+m.name)
				out, _ := run.CombinedOutput() // it fails if it finds something: that is the point
				return failed.FindStringSubmatch(string(out))
			}
			found := find(strconv.Itoa(m.seed), "1")
			if found == nil {
				found = find("1", mutationSeeds)
				t.Logf("seed %d no longer finds it: put a new one into the table", m.seed)
			}
			if found == nil {
				t.Fatalf("not found in %s seeds", mutationSeeds)
			}
			t.Logf("%s: seed %s finds it: %s %s", m.name, found[1], found[2], found[3])
		})
	}
}
