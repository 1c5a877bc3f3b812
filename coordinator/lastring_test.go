package coordinator

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/membership"
	"github.com/arc-ring/arc/internal/wal"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// What is known of the former ring comes back as it was written, and a node that
// waits for it says where those are who have its disks.
func TestTheFormerRingIsKnownByNamesAndAddresses(t *testing.T) {
	s := &ring.State{RingID: "r1", Members: []ring.Member{
		{ID: 1, Name: "n1", Addresses: []string{"10.0.0.1:7400"}},
		{ID: 2, Name: "n2", Addresses: []string{"10.0.0.2:7400", "10.1.0.2:7400"}},
		{ID: 3, Name: "n3", Addresses: []string{"10.0.0.3:7400"}},
	}}
	for name, c := range map[string]struct {
		file func(path string) error // nil: written by this version
		want lastRing
		says string
	}{
		"this version": {
			want: lastRing{"r1", "test", []ring.Member{
				{Name: "n2", Addresses: s.Members[1].Addresses}, {Name: "n3", Addresses: s.Members[2].Addresses},
			}},
			says: "the disks of n2 (10.0.0.2:7400, 10.1.0.2:7400), n3 (10.0.0.3:7400) as far as it knows: start the one of them that ended last first (if",
		},
		"without the cluster": {
			file: func(path string) error {
				return os.WriteFile(path, []byte("r1\nmember n2\n10.0.0.2:7400\n"), 0o600)
			},
			want: lastRing{"r1", "", []ring.Member{{Name: "n2", Addresses: []string{"10.0.0.2:7400"}}}},
			says: "the disk of n2 (10.0.0.2:7400) as far as it knows: start it (if",
		},
		"addresses before names": {
			file: func(path string) error {
				return os.WriteFile(path, []byte("r1\n10.0.0.2:7400\n10.0.0.3:7400\nmember n2\n"), 0o600)
			},
			want: lastRing{"r1", "", []ring.Member{{Addresses: []string{"10.0.0.2:7400", "10.0.0.3:7400"}}, {Name: "n2"}}},
			says: "the disk of n2 as far as it knows: start it (if",
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t, "n1")
			if err := os.MkdirAll(o.DataDir, 0o700); err != nil {
				t.Fatal(err)
			}
			n := newNode(o)
			err := n.writeLastRing(n.lastRingOf("r1", s.Members))
			if c.file != nil {
				err = c.file(n.lastRingPath())
			}
			if err != nil {
				t.Fatal(err)
			}
			f, err := n.readLastRing()
			if err != nil || !reflect.DeepEqual(f, c.want) {
				t.Errorf("read %+v, %v; want %+v", f, err, c.want)
			}
			(&joiner{n: n, lastRing: f}).losePatience()
			if got := n.hub.Load().WaitsFor; !strings.Contains(got, c.says) {
				t.Errorf("says %q, want %q", got, c.says)
			}
		})
	}
}

// Members that answer run: it does not help to start them.
func TestAJoinerSaysWhatThoseItAskedAnswered(t *testing.T) {
	n := newNode(testOptions(t, "n3"))
	j := &joiner{n: n, lastRing: lastRing{"r1", "", []ring.Member{{Name: "n1", Addresses: []string{"10.0.0.1:7400"}}, {Name: "n2", Addresses: []string{"10.0.0.2:7400"}}}}}
	says := func() string { return n.hub.Load().WaitsFor }
	other := reason.ToStatus(fmt.Errorf(`%w: this is cluster "arc", the joiner "n3" wants "acr"; check --cluster and --join`, membership.ErrOtherRing))
	down := status.Error(codes.Unavailable, "connection refused")
	hear := func(via string, err error) { j.heard(err, inWords{err}.Error(), via) }

	hear("10.0.0.1:7400", other)
	if got := says(); got != "" {
		t.Errorf("at once it says %q", got)
	}
	j.losePatience()
	hear("10.0.0.2:7400", other)
	want := `it left ring r1; those it asked for that ring answered: 10.0.0.1:7400, 10.0.0.2:7400: another ring: this is cluster "arc", the joiner "n3" wants "acr"; check --cluster and --join`
	if got := says(); got != want {
		t.Errorf("says %q, want %q", got, want)
	}
	hear("10.0.0.1:7400", down)
	if got := says(); !strings.Contains(got, "answered: 10.0.0.2:7400: ") {
		t.Errorf("with one of two down it says %q", got)
	}
	hear("10.0.0.2:7400", reason.ToStatus(fmt.Errorf("%w: it is joining", reason.ErrNotJoined))) // it waits as well
	if got := says(); !strings.Contains(got, "start the one of them that ended last first") {
		t.Errorf("with all down it says %q", got)
	}
	hear("10.0.0.2:7400", reason.ToStatus(fmt.Errorf("%w: needs n1", membership.ErrNoLeader)))
	hear("10.0.0.1:7400", other)
	if got, want := says(), "a member of its ring answers at 10.0.0.2:7400: needs n1"; got != want {
		t.Errorf("says %q, want %q", got, want)
	}
}

// A node that left is of the cluster that it left: started in another one, it would
// look for its ring, be refused by everybody, and found none. Its name is free.
func TestADirectoryThatWasLeftBelongsToItsCluster(t *testing.T) {
	nodes := startRing(t, "n1", "n2")
	n2 := nodes[1]
	if _, err := nodes[0].client.Leave(nodes[0].ctx(), &arcv1.LeaveRequest{Name: "n2"}); err != nil {
		t.Fatal(err)
	}
	n2.reap()
	o := n2.o
	o.Cluster, o.Bootstrap = "k2", true
	err := Run(n2.ctx(), o)
	if !errors.Is(err, wal.ErrForeign) {
		t.Errorf("with another --cluster: %v, want ErrForeign", err)
	}
	for _, says := range []string{o.DataDir, `cluster "test"`, `cluster "k2"`, "--cluster test", "move the directory away"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("with another --cluster: %v, want it to say %s", err, says)
		}
	}
	o = n2.o
	o.Name = "n9"
	n9 := start(t, o)
	n9.await("it is in its ring under another name", func(st *arcv1.StatusResponse) bool { return st.GetSelfId() == 3 && st.GetLeader().GetName() == "n1" })
}

// A join that never reached this node leaves a log without a ring's state. The
// members of its former ring are known as before.
func TestAJoinThatWasNotReachedForgetsNobody(t *testing.T) {
	for former, others := range map[string]int{"r1": 1, "r0": 0} {
		n := newNode(testOptions(t, "n1"))
		l, _, err := wal.Open(n.o.DataDir, wal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(
			l.Init(wal.Identity{Cluster: n.o.Cluster, RingID: "r1", Name: "n1", ID: 4}, wal.Batch{Sync: true}), l.Close(),
			n.writeLastRing(n.lastRingOf(former, []ring.Member{{Name: "n2", Addresses: []string{"10.0.0.2:7400"}}})))
		if err != nil {
			t.Fatal(err)
		}
		recovered, err := n.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = n.resume(recovered)
		f, rerr := n.readLastRing()
		n.close()
		if err := errors.Join(err, rerr); err != nil || f.ringID != "r1" || f.cluster != n.o.Cluster || len(f.others) != others {
			t.Errorf("after %s it knows %+v, %v; want %d others of r1", former, f, err, others)
		}
	}
}

// The log of a membership that ended lies aside until the next membership holds.
func TestTheFormerLogIsKeptUntilTheNextMembershipHolds(t *testing.T) {
	nodes := startRing(t, "n1", "n2", "n3")
	n3 := nodes[2]
	aside := func() []string {
		logs, err := filepath.Glob(filepath.Join(n3.n.formerLogsPath(), "*.log"))
		if err != nil {
			t.Fatal(err)
		}
		return logs
	}
	if _, err := nodes[0].client.Leave(nodes[0].ctx(), &arcv1.LeaveRequest{Name: "n3"}); err != nil {
		t.Fatal(err)
	}
	n3.reap()
	if got := aside(); len(got) != 1 {
		t.Errorf("n3 left, and has %v aside, want its log", got)
	}
	n3 = n3.again()
	n3.await("n3 under a new id", func(st *arcv1.StatusResponse) bool { return st.GetSelfId() == 4 && st.GetLeader() != nil })
	n3.await("nothing aside", func(*arcv1.StatusResponse) bool { return len(aside()) == 0 })
}
