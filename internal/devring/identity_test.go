package devring

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// copied copies a node's data directory.
func copied(t *testing.T, n *Node, to string) {
	t.Helper()
	must(t, os.CopyFS(to, os.DirFS(n.DataDir())))
}

// A machine is cloned while the original runs: the copy is refused with one error,
// and nothing else happens.
func TestCloneIsRefused(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 3, Profile: calm})
	leader := r.Named(st.GetLeader().GetName())
	for _, n := range []*Node{leader, r.Node(leader.Index()%3 + 1)} {
		dir := t.TempDir()
		data := filepath.Join(dir, "data")
		copied(t, n, data)
		args := append(n.Args(), "--data-dir", data, "--run-dir", filepath.Join(dir, "run"), "--port", "0")
		_, errs, code := arc(t, args...)
		if code != 1 || !strings.Contains(errs, "another process is this member") || !strings.Contains(errs, "remove "+data+" and start it with another --name") {
			t.Errorf("a copy of %s: code %d, %s", n.Name(), code, errs)
		}
	}
	after := awaitRing(t, r, stepBound)
	if after.GetTerm() != st.GetTerm() || after.GetEpoch() != st.GetEpoch() || after.GetLeader().GetName() != leader.Name() {
		t.Errorf("leader %s, token %d, epoch %d; before %s, %d, %d", after.GetLeader().GetName(), after.GetTerm(), after.GetEpoch(), leader.Name(), st.GetTerm(), st.GetEpoch())
	}
}

// A data directory is put back as it was before the member's last start: the
// others know a process that it does not know. They go on without it.
func TestDirectoryFromAnOldCopyIsRefused(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 3})
	off := func() {
		for i := range 3 {
			must(t, r.Node(i+1).PowerOff())
		}
	}
	on := func() {
		for i := range 3 {
			must(t, r.Node(i+1).Start())
		}
	}
	n := r.Node(3)
	old := filepath.Join(t.TempDir(), "data")
	off()
	copied(t, n, old)
	on()
	// The others know its second process once the ring has recorded that.
	first := member(st, n.Name()).GetIncarnation()
	must(t, r.Until(within(t, formBound), "that the second process is recorded", func(ctx context.Context) error {
		st, err := r.AwaitRing(ctx)
		if err == nil && member(st, n.Name()).GetIncarnation() == first {
			err = errors.New("the first one still is")
		}
		return err
	}))
	off()
	must(t, os.RemoveAll(n.DataDir()))
	must(t, os.CopyFS(n.DataDir(), os.DirFS(old)))
	on()
	must(t, n.Wait(within(t, formBound)))
	wayOut := "nothing was changed: if the ring has a leader (ask another member: arc leader), remove the directory and start again"
	if n.ExitCode() != 1 || logs(n, 0, "is older than what member") != nil || logs(n, 0, wayOut) != nil {
		t.Errorf("code %d, log %s", n.ExitCode(), n.LogTail(2000))
	}
	awaitRing(t, r, formBound)
}
