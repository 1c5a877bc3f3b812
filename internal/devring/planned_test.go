package devring

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/observe"
	"github.com/arc-ring/arc/internal/testwait"
)

// noSuspicion fails if anybody was suspected or evicted since mark.
func noSuspicion(t *testing.T, r *Ring, mark int) {
	t.Helper()
	for _, ev := range r.Since(mark) {
		switch ev.Type() {
		case "suspected", "evicted", "certified":
			t.Errorf("%s says %s %s %v", ev.By, ev.Type(), ev.GetNode(), ev.GetDetail())
		}
	}
}

func TestHandover(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 4, Profile: calm})
	mark := r.Mark()
	// To the heir, asked at a follower.
	any := bystander(t, r, st)
	out, errs, code := arc(t, "--addr", any.Addr(), "handover")
	if want := st.GetHeir() + " leads, token "; code != 0 || !strings.HasPrefix(out, want) {
		t.Errorf("arc handover: code %d, %q %q; want %q", code, out, errs, want)
	}
	after := awaitRing(t, r, stepBound)
	if after.GetLeader().GetName() != st.GetHeir() || after.GetTerm() <= st.GetTerm() {
		t.Errorf("%s leads with token %d, want %s above %d", after.GetLeader().GetName(), after.GetTerm(), st.GetHeir(), st.GetTerm())
	}
	if after.GetHeir() != st.GetLeader().GetName() {
		t.Errorf("heir is %s, want the former leader %s", after.GetHeir(), st.GetLeader().GetName())
	}
	// To one that is not the heir.
	chosen := bystander(t, r, after)
	if out, errs, code := arc(t, "--addr", chosen.Addr(), "handover", chosen.name); code != 0 {
		t.Errorf("arc handover %s: code %d, %q %q", chosen.name, code, out, errs)
	}
	if st := awaitRing(t, r, stepBound); st.GetLeader().GetName() != chosen.name {
		t.Errorf("%s leads, want %s", st.GetLeader().GetName(), chosen.name)
	}
	if _, errs, code := arc(t, "--addr", chosen.Addr(), "handover", "nobody"); code != 1 || !strings.Contains(errs, "nobody") {
		t.Errorf("arc handover nobody: code %d, %q; want 1 and the name", code, errs)
	}
	noSuspicion(t, r, mark)
}

func TestLeave(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 4, Profile: calm})
	mark := r.Mark()
	for _, n := range []*Node{bystander(t, r, st), r.Named(st.GetLeader().GetName())} {
		if out, errs, code := arc(t, "--addr", n.Addr(), "leave"); code != 0 {
			t.Errorf("arc leave at %s: code %d, %q %q", n.name, code, out, errs)
		}
		must(t, n.Wait(within(t, stepBound)))
		if code, log := n.ExitCode(), n.LogTail(1<<16); code != 0 || !strings.Contains(log, `reason="left the ring, as asked by arc leave"`) {
			t.Errorf("the coordinator of %s exits %d after leaving:\n%s", n.name, code, log)
		}
		awaitRing(t, r, stepBound)
	}
	noSuspicion(t, r, mark)
	// Back again, as new members.
	highest := highestID(st)
	startAll(t, r)
	after := awaitRing(t, r, stepBound)
	if after.GetHeir() != st.GetLeader().GetName() {
		t.Errorf("heir is %s, want %s: its name keeps its place", after.GetHeir(), st.GetLeader().GetName())
	}
	if got := member(after, st.GetLeader().GetName()).GetId(); got <= highest {
		t.Errorf("%s is back under id %d, ids were given up to %d", st.GetLeader().GetName(), got, highest)
	}
}

// SIGTERM is a handover, a leave and an end within 5 s.
func TestTerminate(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 3, Profile: calm})
	mark := r.Mark()
	leader := r.Named(st.GetLeader().GetName())
	began := time.Now()
	must(t, leader.Terminate(within(t, stepBound)))
	took := time.Since(began)
	t.Logf("ended after %v", took.Round(time.Millisecond))
	if leader.ExitCode() != 0 || took > 6*time.Second {
		t.Errorf("SIGTERM: exit code %d after %v, want 0 within 5 s", leader.ExitCode(), took)
	}
	if log, want := leader.LogTail(1<<16), `reason="interrupted by SIGTERM" next="it hands over, leaves the ring and ends"`; !strings.Contains(log, want) {
		t.Errorf("its log lacks %s:\n%s", want, log)
	}
	if after := awaitRing(t, r, stepBound); after.GetLeader().GetName() != st.GetHeir() {
		t.Errorf("%s leads, want the heir %s", after.GetLeader().GetName(), st.GetHeir())
	}
	noSuspicion(t, r, mark)
	awaitNobody(t, leader.dir)
}

// All are told to end at once: each does so in time and in order, and the ring
// is still there when they start again.
func TestTerminateAll(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 4})
	began := time.Now()
	for _, n := range r.Nodes() {
		must(t, n.Signal(syscall.SIGTERM))
	}
	for _, n := range r.Nodes() {
		must(t, n.Wait(within(t, stepBound)))
		if code := n.ExitCode(); code != 0 {
			t.Errorf("%s exits %d", n.name, code)
		}
	}
	t.Logf("all ended after %v", time.Since(began).Round(time.Millisecond))
	startAll(t, r)
	after := awaitRing(t, r, formBound)
	if after.GetRingId() != st.GetRingId() || after.GetTerm() <= st.GetTerm() {
		t.Errorf("ring %s, token %d; was %s, %d", after.GetRingId(), after.GetTerm(), st.GetRingId(), st.GetTerm())
	}
}

func TestEvict(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 4, Profile: calm})
	n := bystander(t, r, st)
	id := member(st, n.name).GetId()
	if out, errs, code := arc(t, "--addr", n.Addr(), "evict", n.name); code != 0 {
		t.Fatalf("arc evict %s: code %d, %q %q", n.name, code, out, errs)
	}
	// It was alive after all: it joins again.
	after := awaitRing(t, r, stepBound)
	if got := member(after, n.name).GetId(); got <= id {
		t.Errorf("%s has id %d again, it had %d", n.name, got, id)
	}
	if _, errs, code := arc(t, "--addr", n.Addr(), "evict", after.GetLeader().GetName()); code != 1 || !strings.Contains(errs, "hand") {
		t.Errorf("evicting the leader: code %d, %q; want 1 and what to do", code, errs)
	}
	if _, _, code := arc(t, "--addr", n.Addr(), "evict", "nobody"); code != 1 {
		t.Errorf("evicting nobody: code %d, want 1", code)
	}
}

func TestOnJoinLead(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 3, Profile: calm})
	n, err := r.Add()
	must(t, err)
	must(t, n.Start("--on-join", "lead"))
	must(t, r.Until(within(t, stepBound), n.name+" leads", func(ctx context.Context) error {
		s, err := r.judge(ctx, observe.Leader)
		if err == nil && s.GetSelf() != n.name {
			err = errNotYet
		}
		return err
	}))
	after := awaitRing(t, r, stepBound)
	if after.GetLeader().GetName() != n.name || after.GetTerm() <= st.GetTerm() || after.GetHeir() != st.GetLeader().GetName() {
		t.Errorf("%s leads with token %d, heir %s; want the newcomer %s above %d, heir %s",
			after.GetLeader().GetName(), after.GetTerm(), after.GetHeir(), n.name, st.GetTerm(), st.GetLeader().GetName())
	}
}

func TestOnJoinStay(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 3, Profile: calm})
	n, err := r.Add()
	must(t, err)
	must(t, n.Start())
	after := awaitRing(t, r, stepBound)
	if after.GetTerm() != st.GetTerm() {
		t.Errorf("the leadership changed at a join: token %d, then %d", st.GetTerm(), after.GetTerm())
	}
	if tail := after.GetMembers()[3].GetName(); tail != n.name {
		t.Errorf("the tail is %s, want the newcomer %s", tail, n.name)
	}
}

// Two and a witness: the witness votes, and never leads. The first is the one
// that would found the ring by its name.
func TestWitness(t *testing.T) {
	t.Parallel()
	for _, which := range []int{3, 1} {
		t.Run(fmt.Sprintf("n%d", which), func(t *testing.T) { witness(t, which) })
	}
}

func witness(t *testing.T, which int) {
	r := prepare(t, Options{Nodes: 3, Args: func(i int) []string {
		if i == which {
			return []string{"--witness"}
		}
		return nil
	}})
	name := r.Node(which).name
	startAll(t, r)
	st := awaitRing(t, r, formBound)
	w := member(st, name)
	if !w.GetWitness() || !w.GetVoter() || st.GetLeader().GetName() == name || st.GetHeir() == name {
		t.Fatalf("witness %v, voter %v, leader %s, heir %s", w.GetWitness(), w.GetVoter(), st.GetLeader().GetName(), st.GetHeir())
	}
	must(t, r.Named(st.GetLeader().GetName()).PowerOff())
	st = awaitRing(t, r, stepBound)
	last := r.Named(st.GetLeader().GetName())
	if last.name == name {
		t.Error("the witness leads")
	}
	if _, errs, code := arc(t, "--addr", last.Addr(), "handover", name); code != 1 || !strings.Contains(errs, "witness") {
		t.Errorf("handover to the witness: code %d, %q", code, errs)
	}
	// Alone, the witness stays without a leader.
	mark := r.Mark()
	must(t, last.Kill())
	testwait.Real(3*time.Duration(st.GetSettings().GetLeaseMs())*time.Millisecond, "in which it would claim")
	for _, ev := range r.Since(mark) {
		if ev.Type() == "claim_gained" {
			t.Errorf("%s claims", ev.GetNode())
		}
	}
}

// A name that an alive member has is refused to another address, with an error
// that says so; the member stays.
func TestNameInUse(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 3, Profile: calm})
	n := bystander(t, r, st)
	id := member(st, n.name).GetId()
	thief, err := r.Add()
	must(t, err)
	must(t, thief.Start("--name", n.name))
	waitErr := thief.Wait(within(t, 6*time.Second))
	if log := thief.LogTail(1 << 16); !strings.Contains(log, "in use") || !strings.Contains(log, "--name") {
		t.Errorf("nobody told the thief (still running: %v):\n%s", waitErr != nil, log)
	}
	if thief.Running() {
		must(t, thief.Kill())
	} else if thief.ExitCode() == 0 {
		t.Error("the thief exits 0")
	}
	after := awaitRing(t, r, stepBound)
	if got := member(after, n.name).GetId(); got != id {
		t.Errorf("%s has id %d, it had %d", n.name, got, id)
	}
}

// All at once from disk: the same ring, a higher token. After a power cut the
// ids are the same, too; a monitor that lived on may reach one that is back
// already, which then rightly evicts the one that is not.
func TestRestartOfAll(t *testing.T) {
	t.Parallel()
	t.Run("power", func(t *testing.T) { restartOfAll(t, (*Node).PowerOff, true) })
	t.Run("killed", func(t *testing.T) {
		restartOfAll(t, func(n *Node) error { return n.Signal(sigKill) }, false)
	})
}

func restartOfAll(t *testing.T, end func(*Node) error, sameIDs bool) {
	r, st := whole(t, Options{Nodes: 3, Profile: calm})
	for _, n := range r.Nodes() {
		must(t, end(n))
	}
	for _, n := range r.Nodes() {
		must(t, n.Wait(within(t, stepBound)))
	}
	startAll(t, r)
	after := awaitRing(t, r, formBound)
	if after.GetRingId() != st.GetRingId() || after.GetTerm() <= st.GetTerm() {
		t.Errorf("ring %s, token %d; was %s, %d", after.GetRingId(), after.GetTerm(), st.GetRingId(), st.GetTerm())
	}
	if sameIDs && after.GetLeader().GetName() != st.GetLeader().GetName() {
		t.Errorf("%s leads, want the last leader %s", after.GetLeader().GetName(), st.GetLeader().GetName())
	}
	// Each says that it was restarted.
	must(t, r.Until(within(t, stepBound), "all new incarnations", func(ctx context.Context) error {
		now, err := r.Named(after.GetSelf()).Status(ctx)
		if err != nil {
			return err
		}
		for _, m := range st.GetMembers() {
			if got := member(now, m.GetName()); sameIDs && got.GetId() != m.GetId() || got.GetIncarnation() == m.GetIncarnation() {
				return fmt.Errorf("%s: id %d, incarnation %x; was %d, %x", m.GetName(), got.GetId(), got.GetIncarnation(), m.GetId(), m.GetIncarnation())
			}
		}
		return nil
	}))
}

// A lost disk is a new member under the old name.
func TestLostDisk(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 3, Profile: calm})
	n := bystander(t, r, st)
	must(t, n.Kill())
	awaitRing(t, r, stepBound)
	must(t, n.Wipe())
	must(t, n.Start())
	after := awaitRing(t, r, stepBound)
	if got := member(after, n.name).GetId(); got <= highestID(st) {
		t.Errorf("%s has id %d, ids were given up to %d", n.name, got, highestID(st))
	}
	if after.GetRingId() != st.GetRingId() || after.GetTerm() != st.GetTerm() {
		t.Errorf("ring %s token %d, was %s %d", after.GetRingId(), after.GetTerm(), st.GetRingId(), st.GetTerm())
	}
}

func TestSettingsAreTheRings(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 3})
	n := bystander(t, r, st)
	if out, errs, code := arc(t, "--addr", n.Addr(), "config", "set", "profile="+calm, "max_voters=5"); code != 0 {
		t.Fatalf("arc config set: code %d, %q %q", code, out, errs)
	}
	after := awaitRing(t, r, stepBound)
	if s := after.GetSettings(); s.GetLeaseMs() != 3000 || s.GetMaxVoters() != 5 {
		t.Errorf("settings are %v", s)
	}
	if _, errs, code := arc(t, "--addr", n.Addr(), "config", "set", "lease_ms=1"); code != 2 || !strings.Contains(errs, "lease_ms = 1") {
		t.Errorf("lease_ms=1: code %d, %q", code, errs)
	}
	if after.GetTerm() != st.GetTerm() {
		t.Errorf("the leadership changed: token %d, then %d", st.GetTerm(), after.GetTerm())
	}
	awaitRing(t, r, stepBound)
}

// The second coordinator on a directory is told who has it.
func TestDirectoriesAreLocked(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 1})
	holder := r.Node(1)
	other, err := r.Add()
	must(t, err)
	for _, args := range [][]string{{"--data-dir", holder.DataDir()}, {"--run-dir", holder.RunDir()}} {
		must(t, other.Start(args...))
		must(t, other.Wait(within(t, stepBound)))
		if log := other.LogTail(1 << 16); other.ExitCode() != 1 || !strings.Contains(log, args[1]) {
			t.Errorf("%v: exit code %d, want 2 and the directory:\n%s", args, other.ExitCode(), log)
		}
	}
	if after := awaitRing(t, r, stepBound); after.GetTerm() != st.GetTerm() {
		t.Errorf("the holder was disturbed: token %d, then %d", st.GetTerm(), after.GetTerm())
	}
}

// A data directory of another name or cluster is refused, and not touched.
func TestForeignDataDirIsRefused(t *testing.T) {
	t.Parallel()
	r, _ := whole(t, Options{Nodes: 1})
	n := r.Node(1)
	must(t, n.Kill())
	before := listing(t, n.DataDir())
	for _, args := range [][]string{{"--name", "somebody"}, {"--cluster", "elsewhere"}} {
		must(t, n.Start(args...))
		must(t, n.Wait(within(t, stepBound)))
		if log := n.LogTail(4096); n.ExitCode() != 2 || !strings.Contains(log, n.DataDir()) {
			t.Errorf("%v: exit code %d, want 1 and the directory:\n%s", args, n.ExitCode(), log)
		}
	}
	if after := listing(t, n.DataDir()); after != before {
		t.Errorf("the directory changed:\n%q\n%q", before, after)
	}
	must(t, n.Start())
	awaitRing(t, r, formBound)
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "lock" { // holds the pid
			return err
		}
		text, err := os.ReadFile(path)
		b.WriteString(path + " " + string(text) + "\n")
		return err
	}))
	return b.String()
}

// SIGHUP reads the log level of the file again, and the monitor follows.
func TestHangupReloadsTheLogLevel(t *testing.T) {
	t.Parallel()
	r := prepare(t, Options{Nodes: 1})
	n := r.Node(1)
	file := filepath.Join(n.dir, "arc.toml")
	must(t, os.WriteFile(file, []byte("log-level = \"error\"\n"), 0o600))
	must(t, n.Start("--config", file))
	awaitRing(t, r, formBound)
	if log := n.LogTail(1 << 16); strings.Contains(log, "[INFO]") {
		t.Fatalf("level error logs:\n%s", log)
	}
	must(t, os.WriteFile(file, []byte("log-level = \"info\"\n"), 0o600))
	must(t, n.Signal(syscall.SIGHUP))
	must(t, r.Until(within(t, stepBound), "the new level", func(context.Context) error {
		log := n.LogTail(1 << 16)
		if !strings.Contains(log, "log level reloaded: from=error to=info") || !strings.Contains(log, "monitor: log level is the coordinator's") {
			return errNotYet
		}
		return nil
	}))
}

// The commands say over a real coordinator what the contract says.
func TestCommandsOnARealRing(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 3, Profile: calm})
	leader := r.Named(st.GetLeader().GetName())
	for _, n := range r.Nodes() {
		want := 3
		if n == leader {
			want = 0
		}
		if out, _, code := arc(t, "--addr", n.Addr(), "leader", "--self"); code != want || strings.TrimSpace(out) != leader.name {
			t.Errorf("arc leader --self at %s: code %d, %q; want %d, %q", n.name, code, out, want, leader.name)
		}
		// Over TCP as well.
		if out, errs, code := arc(t, "--addr", n.TCPAddr(), "--secret-file", r.SecretFile(), "status"); code != 0 || !strings.Contains(out, "leader  "+leader.name) {
			t.Errorf("arc status over TCP: code %d, %q %q", code, out, errs)
		}
		if out, errs, code := arc(t, "--addr", n.Addr(), "history"); code != 0 || !strings.Contains(out, leader.name) {
			t.Errorf("arc history: code %d, %q %q", code, out, errs)
		}
	}
	if out, errs, code := arc(t, "--addr", leader.Addr(), "leader", "--wait", "--self"); code != 0 || strings.TrimSpace(out) != leader.name {
		t.Errorf("arc leader --wait --self: code %d, %q %q", code, out, errs)
	}
	gone := bystander(t, r, st)
	must(t, gone.Kill())
	if _, errs, code := arc(t, "--addr", gone.Addr(), "status"); code != 4 || strings.Count(errs, "\n") != 1 {
		t.Errorf("arc status at a dead node: code %d, %q; want 4 and one line", code, errs)
	}
	awaitRing(t, r, stepBound)
}

// All are told to end at once, and one of them does not come back: the ring was
// left on the disks of all, so that two of three have a leader.
func TestTerminateAllAndStartAMajority(t *testing.T) {
	t.Parallel()
	for missing := 1; missing <= 3; missing++ {
		t.Run(fmt.Sprintf("without n%d", missing), func(t *testing.T) {
			t.Parallel()
			r, st := whole(t, Options{Nodes: 3})
			for _, n := range r.Nodes() {
				must(t, n.Signal(syscall.SIGTERM))
			}
			for _, n := range r.Nodes() {
				must(t, n.Wait(within(t, stepBound)))
			}
			for i, n := range r.Nodes() {
				if i+1 != missing {
					must(t, n.Start())
				}
			}
			after := awaitRing(t, r, stepBound)
			if after.GetRingId() != st.GetRingId() || after.GetTerm() <= st.GetTerm() {
				t.Errorf("ring %s, token %d; was %s, %d", after.GetRingId(), after.GetTerm(), st.GetRingId(), st.GetTerm())
			}
			must(t, r.Node(missing).Start())
			awaitRing(t, r, stepBound)
		})
	}
}

// All are stopped one after the other: the last one has the ring, and those that
// are started without it say so by its name.
func TestTerminateOneByOneAndStartTheOthers(t *testing.T) {
	t.Parallel()
	r, _ := whole(t, Options{Nodes: 3})
	for i := range 3 {
		must(t, r.Node(i+1).Terminate(within(t, stepBound)))
	}
	must(t, r.Node(1).Start())
	must(t, r.Node(2).Start())
	must(t, r.Until(within(t, stepBound), "n2 names the disk of n3", func(ctx context.Context) error {
		st, err := r.Node(2).Status(ctx)
		if err == nil && !strings.Contains(st.GetReason(), "the disk of n3") {
			err = fmt.Errorf("reason %q", st.GetReason())
		}
		return err
	}))
	must(t, r.Node(3).Start())
	awaitRing(t, r, stepBound)
}
