package devring

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// n2 is evicted, then n3 is lost with its disk, then n2 comes back: n1's disk
// alone holds a ring that needs n3. It is founded again from that disk, and
// everybody finds it, those included who come back with the disks of before.
func TestRecover(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 3})
	nodes := map[string]*Node{}
	for i, m := range st.GetMembers() {
		nodes[[]string{"survivor", "evicted", "lost"}[i]] = r.Named(m.GetName())
	}
	survivor, evicted, lost := nodes["survivor"], nodes["evicted"], nodes["lost"]
	must(t, evicted.PowerOff())
	before := awaitRing(t, r, stepBound)
	must(t, lost.PowerOff())
	must(t, evicted.Start())

	// Nobody leads, and both say whose disk is needed.
	for _, n := range []*Node{survivor, evicted} {
		must(t, r.Until(within(t, stepBound), n.name+" names the one that is needed", func(ctx context.Context) error {
			st, err := n.Status(ctx)
			if err == nil && (st.GetLeader() != nil || !strings.Contains(st.GetReason(), "needs "+lost.name+" with its disk")) {
				err = fmt.Errorf("leader %v, reason %q", st.GetLeader(), st.GetReason())
			}
			return err
		}))
		if _, errs, code := arc(t, "--addr", n.Addr(), "leader", "--wait", "--timeout", "200ms"); code != 3 || !strings.Contains(errs, lost.name) {
			t.Errorf("arc leader --wait at %s: code %d, %q; want 3 and the name of %s", n.name, code, errs, lost.name)
		}
	}
	refuse := func(what string, want string, args ...string) {
		t.Helper()
		out, errs, code := arc(t, append([]string{"recover", "--data-dir", survivor.DataDir()}, args...)...)
		if code == 0 || !strings.Contains(errs, want) {
			t.Errorf("%s: code %d, %q %q; want %q", what, code, out, errs, want)
		}
	}
	refuse("while it runs", "locked by pid", "--gone", lost.name, "--yes")
	must(t, survivor.Kill())
	known := "the members that this disk knows are " + survivor.name + ", " + lost.name + "\n"
	refuse("a stranger", `not a member: "n9"; `+known, "--gone", "n9", "--yes")
	refuse("a stranger beside a member", `not a member: "n9"; `+known, "--gone", lost.name+",n9", "--yes")
	refuse("a list with a gap", "an item is empty", "--gone", lost.name+",,"+evicted.name, "--yes")
	refuse("a name given twice", "missing   "+lost.name+": 2 of the voters", "--gone", lost.name+","+lost.name)
	refuse("itself", "whose disk this is", "--gone", survivor.name, "--yes")
	refuse("unconfirmed", "go on: \narc: not confirmed", "--gone", lost.name)

	out, errs, code := arc(t, "recover", "--data-dir", survivor.DataDir(), "--gone", lost.name, "--yes")
	if code != 0 || !strings.Contains(errs, "lost") || !strings.Contains(errs, "two rings") || !strings.Contains(out, "founded again") {
		t.Fatalf("arc recover: code %d\n%s\n%s", code, out, errs)
	}
	if copies, err := filepath.Glob(survivor.DataDir() + ".before-recover-*/*.log"); err != nil || len(copies) != 1 {
		t.Errorf("copies of the old log: %v, %v", copies, err)
	}
	must(t, survivor.Start())
	after := awaitRing(t, r, stepBound)
	if after.GetRingId() != before.GetRingId() || after.GetTerm() <= before.GetTerm() || after.GetEpoch() < before.GetEpoch()+1000 || after.GetLeader().GetName() != survivor.name {
		t.Errorf("ring %s epoch %d token %d leader %s, before: ring %s epoch %d token %d", after.GetRingId(), after.GetEpoch(), after.GetTerm(), after.GetLeader().GetName(),
			before.GetRingId(), before.GetEpoch(), before.GetTerm())
	}
	for _, m := range after.GetMembers() {
		if m.GetId() <= 1000 {
			t.Errorf("%s has id %d, which the former ring may have given", m.GetName(), m.GetId())
		}
	}
	history, _, _ := arc(t, "--addr", survivor.Addr(), "history")
	if strings.Count(history, "\n") < 3 || !strings.Contains(history, "recovered by the operator from the disk of "+survivor.name) {
		t.Errorf("history:\n%s", history)
	}

	// Who was called gone comes back after all, with its old disk.
	must(t, lost.Start())
	if st := awaitRing(t, r, formBound); len(st.GetMembers()) != 3 || st.GetTerm() < after.GetTerm() {
		t.Errorf("%d members, token %d after %d", len(st.GetMembers()), st.GetTerm(), after.GetTerm())
	}
}

// A ring is not founded again while those who are left can go on.
func TestRecoverIsRefusedWhileAMajorityIsLeft(t *testing.T) {
	t.Parallel()
	r, _ := whole(t, Options{Nodes: 3})
	for _, n := range r.Nodes() {
		must(t, n.PowerOff())
	}
	n := r.Node(1)
	before, err := os.ReadDir(n.dir)
	must(t, err)
	_, errs, code := arc(t, "recover", "--data-dir", n.DataDir(), "--gone", "n2", "--yes")
	if code != 1 || !strings.Contains(errs, "those that are not named gone are a majority") {
		t.Errorf("arc recover: code %d, %q", code, errs)
	}
	after, err := os.ReadDir(n.dir)
	must(t, err)
	if len(after) != len(before) {
		t.Errorf("a copy was made: %v", after)
	}
}
