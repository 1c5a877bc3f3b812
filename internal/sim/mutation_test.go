package sim

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A mutation breaks the core on purpose. All of them are built into one
// binary, by replacing source files for that build alone, and each is switched
// on by an environment variable; the simulator has to find each of them.
type mutation struct {
	name  string
	edits []edit
	// checks are those that may find it; empty: any.
	checks []string
	// nodes of the rings in which it is sought: each voter's word counts for
	// more in a small one.
	nodes int
	// seed found it when the test was last looked after; tried first.
	seed int
}

// edit replaces a piece of source. MUTANT in new stands for "this mutation is
// on".
type edit struct {
	file string // in the repository
	old  string // must be there exactly once
	new  string
}

// mutationSeeds is how many seeds may be needed.
const mutationSeeds = "2000"

var mutations = []mutation{
	{"a voter ignores its promise", []edit{{"election/voter.go",
		"return n.now >= n.voter.promise.until && n.now >= n.voter.waitUntil",
		"return (n.now >= n.voter.promise.until || MUTANT) && n.now >= n.voter.waitUntil"}}, []string{"G2"}, 3, 30},
	{"a restarted voter votes at once", []edit{{"election/voter.go",
		"&& n.now >= n.voter.waitUntil\n}",
		"&& (n.now >= n.voter.waitUntil || MUTANT)\n}"}}, []string{"G2"}, 3, 882},
	{"a promise is acked before its bound is durable", []edit{{"election/voter.go",
		"case r.Lease > v.bound:",
		"case r.Lease > v.bound && !MUTANT:"}}, []string{"G2"}, 3, 122},
	{"a lease is counted from the ack", []edit{{"election/lease.go",
		"r.until[from] = max(r.until[from], s.until)",
		"if MUTANT {\n\t\ts.until = n.now + n.ring.Settings.LeaderLease()\n\t}\n\tr.until[from] = max(r.until[from], s.until)"}}, []string{"G2", "G5"}, 5, 13},
	{"clock drift is not allowed for", []edit{{"ring/settings.go",
		"return s.Lease() - s.Lease()*time.Duration(s.DriftPPM)/1_000_000",
		"if MUTANT {\n\t\treturn s.Lease()\n\t}\n\treturn s.Lease() - s.Lease()*time.Duration(s.DriftPPM)/1_000_000"}}, []string{"G2", "G5"}, 5, 45},
	{"a certificate counts for another incarnation", []edit{{"election/suspicion.go",
		"if !ok || c.Incarnation < n.incarnation(m) {\n\t\treturn",
		"if MUTANT && ok {\n\t\tc.Incarnation = n.incarnation(m)\n\t}\n\tif !ok || c.Incarnation < n.incarnation(m) {\n\t\treturn"}}, []string{"G4", "G2"}, 5, 1},
	{"a caretaker declares itself", []edit{
		{"election/leading.go", "if heir.ID == n.cfg.ID {\n\t\t\tbreak", "if heir.ID == n.cfg.ID || MUTANT {\n\t\t\tbreak"},
		{"ring/apply.go", "\their, ok := s.Heir(dead...)\n", "\their, ok := s.Heir(dead...)\n\tif MUTANT {\n\t\their, ok = s.Member(d.ID)\n\t}\n"},
	}, []string{"G3", "state"}, 5, 1},
	{"an id is taken again", []edit{{"ring/apply.go",
		"\ts.HighestID++\n\tm.ID = s.HighestID",
		"\tif MUTANT {\n\t\ts.HighestID = 0\n\t\tfor _, o := range s.Members {\n\t\t\ts.HighestID = max(s.HighestID, o.ID)\n\t\t}\n\t}\n\ts.HighestID++\n\tm.ID = s.HighestID"}}, []string{"ids", "state"}, 5, 1},
	{"an epoch is not counted", []edit{{"ring/apply.go",
		"\ts.Epoch++\n",
		"\tif !MUTANT || c.Return == nil {\n\t\ts.Epoch++\n\t}\n"}}, []string{"state"}, 5, 1},
	{"an eviction needs no confirmation", []edit{{"election/suspicion.go",
		"if s.confirmed && n.heard[m.ID] <= s.probing {",
		"if MUTANT || s.confirmed && n.heard[m.ID] <= s.probing {"}}, []string{"G4"}, 5, 1},
	{"votes and appends are answered before they are durable", []edit{{"election/ready.go",
		"case raftpb.MsgAppResp, raftpb.MsgVoteResp, raftpb.MsgPreVoteResp:",
		"case raftpb.MsgAppResp, raftpb.MsgVoteResp, raftpb.MsgPreVoteResp:\n\t\t\t\tif MUTANT {\n\t\t\t\t\tn.sendRaft(m)\n\t\t\t\t\tcontinue\n\t\t\t\t}"}}, nil, 5, 109},
	{"a joint configuration's old half does not count", []edit{{"election/lease.go",
		"if out := n.conf.GetVotersOutgoing(); len(out) > 0 {",
		"if out := n.conf.GetVotersOutgoing(); len(out) > 0 && !MUTANT {"}}, []string{"G2", "G5"}, 5, 1325},
	{"the survivor of a pair needs no certificate", []edit{{"election/campaign.go",
		"if _, ok := n.certs[other]; !ok {",
		"if _, ok := n.certs[other]; !ok && !MUTANT {"}}, []string{"G1", "G2", "log", "state"}, 5, 30},
	{"a released leader goes on claiming", []edit{
		{"election/node.go", "|| !n.declared() || n.lead.released {", "|| !n.declared() || n.lead.released && !MUTANT {"},
		{"election/request.go", "\t\tl.renewals.until = nil\n", "\t\tif !MUTANT {\n\t\t\tl.renewals.until = nil\n\t\t}\n"},
	}, []string{"G2"}, 5, 14},

	// What follows were bugs that the simulator found while the core was
	// written: it has to go on finding them.
	{"a leader out of touch changes the ring", []edit{{"election/voters.go",
		"\treturn n.majorityHeard(n.conf.GetVoters()) &&",
		"\treturn MUTANT || n.majorityHeard(n.conf.GetVoters()) &&"}}, []string{"G6"}, 5, 109},
	{"a configuration change may leave a majority of dead", []edit{{"election/voters.go",
		"return alive > len(voters)/2",
		"return MUTANT || alive > len(voters)/2"}}, []string{"G6"}, 5, 650},
}

// mutate makes the sources for the build; it returns the overlay's file.
func mutate(t *testing.T, root, dir string) string {
	t.Helper()
	sources := map[string]string{}
	for _, m := range mutations {
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
