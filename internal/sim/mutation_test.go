package sim

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A mutation breaks the core on purpose. All of them are built into one
// binary, by replacing source files for that build alone, and each is switched
// on by an environment variable; the simulator has to find each of them.
type mutation struct {
	name string
	file string // in the repository
	old  string // must be there exactly once
	new  string // MUTANT stands for "this mutation is on"
	// start is a seed near one that finds it; where the search begins.
	start string
	// checks are those that may find it; empty: any.
	checks []string
}

// mutationSeeds is how many seeds may be needed.
const mutationSeeds = "2000"

var mutations = []mutation{
	{"a voter ignores its promise", "election/voter.go",
		"return n.now >= n.voter.promise.until && n.now >= n.voter.waitUntil",
		"return (n.now >= n.voter.promise.until || MUTANT) && n.now >= n.voter.waitUntil", "1", []string{"G2"}},
	{"a restarted voter votes at once", "election/voter.go",
		"&& n.now >= n.voter.waitUntil\n}",
		"&& (n.now >= n.voter.waitUntil || MUTANT)\n}", "1", []string{"G2"}},
	{"a lease is counted from the ack", "election/lease.go",
		"r.until[from] = max(r.until[from], s.until)",
		"if MUTANT {\n\t\ts.until = n.now + n.ring.Settings.LeaderLease()\n\t}\n\tr.until[from] = max(r.until[from], s.until)", "1", []string{"G2", "G5"}},
	{"clock drift is not allowed for", "ring/settings.go",
		"return s.Lease() - s.Lease()*time.Duration(s.DriftPPM)/1_000_000",
		"if MUTANT {\n\t\treturn s.Lease()\n\t}\n\treturn s.Lease() - s.Lease()*time.Duration(s.DriftPPM)/1_000_000", "1", []string{"G2", "G5"}},
	{"a certificate counts for another incarnation", "election/suspicion.go",
		"if !ok || n.incarnation(m) != c.Incarnation {\n\t\treturn\n\t}\n\tif _, known",
		"if MUTANT && ok {\n\t\tc.Incarnation = n.incarnation(m)\n\t}\n\tif !ok || n.incarnation(m) != c.Incarnation {\n\t\treturn\n\t}\n\tif _, known", "1", []string{"G4", "G2"}},
	{"a caretaker declares itself", "election/leading.go",
		"if heir.ID == n.cfg.ID {\n\t\t\tbreak",
		"if heir.ID == n.cfg.ID || MUTANT {\n\t\t\tbreak", "1", nil},
	{"the ring accepts who is not the heir", "ring/apply.go",
		"if !ok || heir.ID != d.ID {",
		"if MUTANT {\n\t\their, ok = s.Member(d.ID)\n\t}\n\tif !ok || heir.ID != d.ID {", "1", []string{"G3", "state"}},
	{"an id is taken again", "ring/apply.go",
		"\ts.HighestID++\n\tm.ID = s.HighestID",
		"\tif MUTANT {\n\t\ts.HighestID = 0\n\t\tfor _, o := range s.Members {\n\t\t\ts.HighestID = max(s.HighestID, o.ID)\n\t\t}\n\t}\n\ts.HighestID++\n\tm.ID = s.HighestID", "1", []string{"ids", "state"}},
	{"an epoch is not counted", "ring/apply.go",
		"\ts.Epoch++\n",
		"\tif !MUTANT || c.Return == nil {\n\t\ts.Epoch++\n\t}\n", "1", []string{"state"}},
	{"an eviction needs no confirmation", "election/suspicion.go",
		"if s.confirmed {",
		"if s.confirmed || MUTANT {", "1", []string{"G4"}},
	{"a stale suspicion counts", "election/suspicion.go",
		"if s.ID == n.ring.LeaderID && s.Term != n.ring.Term {",
		"if s.ID == n.ring.LeaderID && s.Term != n.ring.Term && !MUTANT {", "1", nil},
	{"votes are answered before they are durable", "election/ready.go",
		"case raftpb.MsgAppResp, raftpb.MsgVoteResp, raftpb.MsgPreVoteResp:",
		"case raftpb.MsgAppResp, raftpb.MsgVoteResp, raftpb.MsgPreVoteResp:\n\t\t\t\tif MUTANT {\n\t\t\t\t\tn.sendRaft(m)\n\t\t\t\t\tcontinue\n\t\t\t\t}", "1", nil},
	{"a joint configuration's old half does not count", "election/lease.go",
		"if out := n.conf.GetVotersOutgoing(); len(out) > 0 {",
		"if out := n.conf.GetVotersOutgoing(); len(out) > 0 && !MUTANT {", "1", []string{"G2", "G5"}},
	{"the survivor of a pair needs no certificate", "election/campaign.go",
		"if !ok || n.now < n.voter.waitUntil {\n\t\treturn\n\t}\n\tme, ok",
		"if (!ok || n.now < n.voter.waitUntil) && !(MUTANT && n.leaderLost() && n.free()) {\n\t\treturn\n\t}\n\tme, ok", "1", []string{"G2", "G1", "log", "state"}},
	{"a released leader goes on claiming", "election/node.go",
		"|| !n.declared() || n.lead.released {",
		"|| !n.declared() || n.lead.released && !MUTANT {", "1", []string{"G2"}},
}

// mutate makes the sources for the build; it returns the overlay's file.
func mutate(t *testing.T, root, dir string) string {
	t.Helper()
	sources := map[string]string{}
	for _, m := range mutations {
		src, ok := sources[m.file]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, m.file))
			if err != nil {
				t.Fatal(err)
			}
			src = string(b)
		}
		if strings.Count(src, m.old) != 1 {
			t.Errorf("mutation %q no longer fits %s: its place is there %d times, want once:\n%s", m.name, m.file, strings.Count(src, m.old), m.old)
			continue
		}
		sources[m.file] = strings.Replace(src, m.old, strings.ReplaceAll(m.new, "MUTANT", "(mutant == "+jsonString(m.name)+")"), 1)
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	add := func(file, src string) {
		path := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[filepath.Join(root, file)] = path
	}
	for file, src := range sources {
		add(file, src)
	}
	for _, pkg := range []string{"election", "ring"} {
		add(pkg+"/mutant.go", "package "+pkg+"\n\nimport \"os\"\n\nvar mutant = os.Getenv(\"ARC_MUTANT\")\n")
	}
	b, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func jsonString(s string) string {
	b, _ := json.Marshal(s) // a string always encodes
	return string(b)
}

var failed = regexp.MustCompile(`(?m)^seed (\d+): FAIL (\S+) broken (.*)$`)

// TestTheChecksBite breaks the core in many ways and demands that each is
// found: a check that never fails would prove nothing.
func TestTheChecksBite(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("builds a binary and runs many seeds")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := mutate(t, root, dir)
	soak := filepath.Join(dir, "soak")
	build := exec.Command("go", "build", "-overlay", overlay, "-o", soak, "./internal/sim/soak")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the broken core: %v\n%s", err, out)
	}
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
			run := exec.Command(soak, "--start", m.start, "--seeds", mutationSeeds, "--stats=false", "--skip", strings.Join(skip, ","))
			run.Env = append(os.Environ(), "ARC_MUTANT="+m.name)
			out, _ := run.CombinedOutput() // it fails if it finds something: that is the point
			found := failed.FindStringSubmatch(string(out))
			if found == nil {
				t.Fatalf("not found in %s seeds from %s on:\n%s", mutationSeeds, m.start, out)
			}
			t.Logf("seed %s finds it: %s %s", found[1], found[2], found[3])
		})
	}
}
