package devring

import (
	"slices"
	"testing"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// mixed are the options of rings of two versions: both have to know them.
func mixed() Options { return Options{Nodes: 5, Profile: calm} }

// A ring is rolled from the version before to this one, and back, machine by
// machine: the leader first and then last. Each leader that ends hands over, and
// nothing else happens to the leadership.
func TestVersionsAreRolledBothWays(t *testing.T) {
	t.Parallel()
	before, now := twoVersions(t)
	for name, order := range map[string][2]func([]*Node, string) []*Node{
		"the leader goes up first and back last": {leaderFirst, leaderLast},
		"the leader goes up last and back first": {leaderLast, leaderFirst},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := prepare(t, mixed())
			use(before, r.Nodes()...)
			startAll(t, r)
			st := awaitRing(t, r, formBound)
			for way, arc := range []string{now, before} {
				for _, n := range order[way](r.Nodes(), st.GetLeader().GetName()) {
					st = roll(t, r, st, n, arc)
				}
			}
		})
	}
}

// leaderFirst returns the nodes in the order of their names, but for the leader.
func leaderFirst(nodes []*Node, leader string) []*Node {
	slices.SortStableFunc(nodes, func(a, b *Node) int {
		switch leader {
		case a.name:
			return -1
		case b.name:
			return 1
		}
		return 0
	})
	return nodes
}

func leaderLast(nodes []*Node, leader string) []*Node {
	nodes = leaderFirst(nodes, leader)
	slices.Reverse(nodes)
	return nodes
}

// use makes a program that of the nodes' next start.
func use(arc string, nodes ...*Node) {
	for _, n := range nodes {
		n.arc = arc
	}
}

// roll ends one node in order and starts it as another version. The ring is whole
// before and after.
func roll(t *testing.T, r *Ring, st *arcv1.StatusResponse, n *Node, arc string) *arcv1.StatusResponse {
	t.Helper()
	mark := r.Mark()
	wasLeader := st.GetLeader().GetName() == n.name
	must(t, n.Terminate(within(t, stepBound)))
	if code := n.ExitCode(); code != 0 {
		t.Errorf("%s exits %d", n.name, code)
	}
	awaitRing(t, r, stepBound)
	use(arc, n)
	must(t, n.Start())
	after := awaitRing(t, r, stepBound)
	runs(t, n)

	leader, term := st.GetLeader().GetName(), st.GetTerm()
	if wasLeader {
		leader = st.GetHeir()
	}
	if got := after.GetLeader().GetName(); got != leader || wasLeader == (after.GetTerm() == term) || after.GetTerm() < term {
		t.Errorf("after %s was rolled %s leads with token %d, want %s; %s led with %d", n.name, got, after.GetTerm(), leader, st.GetLeader().GetName(), term)
	}
	if after.GetRingId() != st.GetRingId() || after.GetEpoch() <= st.GetEpoch() || member(after, n.name).GetId() <= highestID(st) {
		t.Errorf("%s is back with id %d in epoch %d of ring %s; the highest id was %d, in epoch %d of %s", n.name, member(after, n.name).GetId(),
			after.GetEpoch(), after.GetRingId(), highestID(st), st.GetEpoch(), st.GetRingId())
	}
	noSuspicion(t, r, mark)
	handedOver(t, r, mark, st, after, n)
	return after
}

// handedOver fails unless the leadership of st was handed over once since mark if
// the node that was rolled had it, and not at all otherwise. after is the status
// once the node is back.
func handedOver(t *testing.T, r *Ring, mark int, st, after *arcv1.StatusResponse, rolled *Node) {
	t.Helper()
	once := st.GetLeader().GetName() == rolled.name
	terms := map[uint64]bool{}
	lost := 0
	for _, ev := range r.Since(mark) {
		switch ev.Type() {
		case "claim_gained":
			terms[ev.GetTerm()] = true
		case "claim_lost":
			lost++
		case "leader_lost":
			// A node that has left knows no leader any more, and may come to say so:
			// if it led, of its successor too.
			left := ev.By == rolled.name && ev.GetLeaderLost().GetWhy() == "no member of the ring any more"
			known := ev.GetTerm() == st.GetTerm() || once && ev.GetTerm() == after.GetTerm()
			if left && !known || !left && (!once || ev.GetTerm() != st.GetTerm()) {
				t.Errorf("%s", ev)
			}
		}
	}
	want := 0
	if once {
		want = 1
	}
	if len(terms) != want || lost != want {
		t.Errorf("claims were gained in %d terms and lost %d times, want %d", len(terms), lost, want)
	}
}

// The leader of a mixed ring is killed, in a ring that both versions founded
// together. The next one is of the other version, whichever that is.
func TestMixedRingLosesItsLeader(t *testing.T) {
	t.Parallel()
	before, now := twoVersions(t)
	for _, c := range []struct {
		name string
		old  int
		dies string
	}{
		{"three of five are old and the new leader dies", 3, now},
		{"three of five are old and the old leader dies", 3, before},
		{"two of five are old and the new leader dies", 2, now},
		{"two of five are old and the old leader dies", 2, before},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := prepare(t, mixed())
			nodes := r.Nodes()
			use(before, nodes[:c.old]...)
			startAll(t, r)
			st := awaitRing(t, r, formBound)
			// The heir is the one that led before, so the other version leads first.
			dying := func(n *Node) bool { return n.arc == c.dies }
			leads := func(name string) bool { return dying(r.Named(name)) }
			if leads(st.GetLeader().GetName()) {
				handover(t, r, nodes[slices.IndexFunc(nodes, func(n *Node) bool { return !dying(n) })])
			}
			st = handover(t, r, nodes[slices.IndexFunc(nodes, dying)])
			if !leads(st.GetLeader().GetName()) || leads(st.GetHeir()) {
				t.Fatalf("the leader is %s and the heir %s: they are of one version", st.GetLeader().GetName(), st.GetHeir())
			}

			mark := r.Mark()
			f, err := r.Crash(within(t, stepBound), st)
			must(t, err)
			without := awaitRing(t, r, stepBound)
			must(t, r.explain(within(t, stepBound), &f))
			if f.New != st.GetHeir() || f.Evidence != "certified" {
				t.Errorf("%s took over from %s by evidence %q, want %s, certified", f.New, f.Old, f.Evidence, st.GetHeir())
			}
			killed := r.Named(f.Old)
			must(t, killed.Wait(within(t, stepBound)))
			must(t, killed.Start())
			after := awaitRing(t, r, stepBound)
			if after.GetTerm() != without.GetTerm() || after.GetHeir() != f.Old {
				t.Errorf("after the return of %s token %d, heir %s; want %d and the former leader", f.Old, after.GetTerm(), after.GetHeir(), without.GetTerm())
			}
			for _, n := range nodes {
				runs(t, n)
			}
			for _, ev := range r.Since(mark) {
				switch ev.Type() {
				case "suspected", "evicted", "certified":
					if ev.GetNode() != f.Old {
						t.Errorf("%s", ev)
					}
				}
			}
		})
	}
}

// handover makes a node the leader of a whole ring.
func handover(t *testing.T, r *Ring, n *Node) *arcv1.StatusResponse {
	t.Helper()
	if out, errs, code := arc(t, "--addr", n.Addr(), "handover", n.name); code != 0 {
		t.Fatalf("arc handover %s: code %d, %q %q", n.name, code, out, errs)
	}
	st := awaitRing(t, r, stepBound)
	if st.GetLeader().GetName() != n.name {
		t.Fatalf("%s leads, want %s", st.GetLeader().GetName(), n.name)
	}
	return st
}
