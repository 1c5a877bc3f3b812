package sim

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// chances is how often each regression is run, with other chance each time:
// the same faults at a slightly different moment are as good.
const chances = 4

func regressions(t *testing.T) map[string]*Regression {
	t.Helper()
	files, err := filepath.Glob("testdata/regressions/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no regressions in testdata: %v", err)
	}
	all := map[string]*Regression{}
	for _, f := range files {
		g, err := LoadRegression(f)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(f), ".json")] = g
	}
	return all
}

// Bugs that the simulator found stay away.
func TestRegressions(t *testing.T) {
	for name, g := range regressions(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for extra := range uint64(chances) {
				if r := g.Run(g.Options(extra)); r.Failure != nil {
					t.Fatalf("%s: %v\nagain: scripts/sim --run internal/sim/testdata/regressions/%s.json --salts %d --trace", g.About, r.Failure, name, extra+1)
				}
			}
		})
	}
}

// And they would be found again: each regression fails if its bug is brought
// back.
func TestRegressionsBite(t *testing.T) {
	if raceDetector || testing.Short() {
		t.Skip("-short or the race detector: builds a binary with a broken core")
	}
	soak := brokenSoak(t)
	kept := map[string]bool{}
	for name, g := range regressions(t) {
		kept[g.Mutation] = true
		if g.Mutation == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !slices.ContainsFunc(slices.Concat(mutations, relapses), func(m mutation) bool { return m.name == g.Mutation }) {
				t.Fatalf("there is no mutation %q", g.Mutation)
			}
			run := exec.Command(soak, "--run", "testdata/regressions/"+name+".json", "--salts", "300")
			run.Env = append(os.Environ(), "ARC_MUTANT="+g.Mutation)
			out, _ := run.CombinedOutput() // it fails if it finds something: that is the point
			found := failed.FindStringSubmatch(string(out))
			if found == nil {
				t.Fatalf("passes although %s:\n%s", g.Mutation, out)
			}
			t.Logf("%s: %s %s", g.Mutation, found[2], found[3])
		})
	}
	for _, m := range relapses {
		if !kept[m.name] {
			t.Errorf("no regression fails when %s", m.name)
		}
	}
}
