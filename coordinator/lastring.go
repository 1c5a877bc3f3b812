package coordinator

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/plainfile"
	"github.com/arc-ring/arc/internal/wal"
	"github.com/arc-ring/arc/ring"
)

// lastRingFile is the file in the data directory that names the ring this node
// belonged to before its log was dropped. A node that was evicted, or left,
// has to find that ring again and must not found another one, although it is
// started with --bootstrap or --expect.
const lastRingFile = "former-ring"

const (
	// lastRingAddresses bounds the addresses kept in the file, and the names.
	lastRingAddresses = 256
	// lastRingBytes bounds the file, in bytes.
	lastRingBytes = 1 << 20
	// clusterMark begins the line with the name of the ring's cluster.
	clusterMark = "cluster "
	// memberMark begins a line with a member's name. Its addresses follow.
	memberMark = "member "
	// formerLogs is the directory in the data directory into which the log of a
	// membership that ended is moved. It is deleted when a new membership holds.
	formerLogs = "former-logs"
	// formerLogsKept is how many are kept at most, while none holds.
	formerLogsKept = 4
)

// lastRing is the ring that a node belonged to last; zero if it never did. In
// the file it is the ring's id, its cluster, then the other members when they were
// last known, each with its name and its addresses, a line each. The node's own
// name is not in it: its membership is over, and it may join under another one.
type lastRing struct {
	ringID string
	// cluster is empty in a file of an older version.
	cluster string
	// others are the other members. A file of an older version has addresses of
	// which the names are not known.
	others []ring.Member
}

// lastRingOf is this node's ring, with these members.
func (n *node) lastRingOf(ringID string, members []ring.Member) lastRing {
	f := lastRing{ringID: ringID, cluster: n.o.Cluster}
	for _, m := range members {
		if m.Name != n.o.Name {
			f.others = append(f.others, ring.Member{Name: m.Name, Addresses: m.Addresses})
		}
	}
	return f
}

// addresses are those of all other members.
func (f lastRing) addresses() (all []string) {
	for _, m := range f.others {
		all = append(all, m.Addresses...)
	}
	return all
}

// whereabouts names the other members, with their addresses.
func (f lastRing) whereabouts() (all []string) {
	for _, m := range f.others {
		if m.Name != "" {
			all = append(all, ring.Whereabouts(m.Name, m.Addresses))
		}
	}
	return all
}

func (n *node) lastRingPath() string { return filepath.Join(n.o.DataDir, lastRingFile) }

func (n *node) formerLogsPath() string { return filepath.Join(n.o.DataDir, formerLogs) }

// dropLog ends the membership on the disk, and remembers which ring it was in.
// The log is moved aside: a node that was told to be out by mistake can have it
// back, by moving the file up again and starting the coordinator.
func (n *node) dropLog(f lastRing) error {
	if err := n.writeLastRing(f); err != nil {
		return fmt.Errorf("%w: remember the former ring: %w", reason.ErrStorage, err)
	}
	return n.moveLogAside()
}

func (n *node) writeLastRing(f lastRing) error {
	lines, addresses := []string{f.ringID, clusterMark + f.cluster}, 0
	for _, m := range f.others[:min(len(f.others), lastRingAddresses)] {
		lines = append(lines, memberMark+m.Name)
		kept := m.Addresses[:min(len(m.Addresses), lastRingAddresses-addresses)]
		lines, addresses = append(lines, kept...), addresses+len(kept)
	}
	return plainfile.Replace(n.lastRingPath(), []byte(strings.Join(lines, "\n")+"\n"), 0o600, true)
}

func (n *node) moveLogAside() error {
	if err := n.disk.Retire(n.formerLogsPath(), formerLogsKept); err != nil {
		return fmt.Errorf("%w: move the log of the former membership to %s: %w", reason.ErrStorage, n.formerLogsPath(), err)
	}
	return nil
}

// dropFormerLogs deletes the logs of memberships that ended.
func (n *node) dropFormerLogs() {
	if _, err := os.Stat(n.formerLogsPath()); errors.Is(err, os.ErrNotExist) {
		return
	}
	if err := os.RemoveAll(n.formerLogsPath()); err != nil {
		n.log.Warn("the log of a former membership is not deleted", "file", n.formerLogsPath(), "error", err)
		return
	}
	n.log.Info("the log of the former membership is deleted: the new membership holds", "file", n.formerLogsPath())
}

// readLastRing reads what dropLog wrote.
func (n *node) readLastRing() (lastRing, error) {
	b, err := plainfile.ReadFile(n.lastRingPath(), lastRingBytes)
	if errors.Is(err, os.ErrNotExist) {
		return lastRing{}, nil
	}
	if err != nil {
		return lastRing{}, fmt.Errorf("read which ring this node was in: %w", err)
	}
	lines := slices.DeleteFunc(strings.Split(string(b), "\n"), func(l string) bool { return l == "" })
	if len(lines) == 0 {
		return lastRing{}, nil
	}
	f, addresses := lastRing{ringID: lines[0]}, 0
	for _, line := range lines[1:] {
		cluster, ofCluster := strings.CutPrefix(line, clusterMark)
		name, ofMember := strings.CutPrefix(line, memberMark)
		switch {
		case ofCluster:
			if foreign.CheckName("cluster", cluster) == nil {
				f.cluster = cluster
			}
		case ofMember:
			if foreign.CheckName("name", name) == nil && len(f.others) < lastRingAddresses {
				f.others = append(f.others, ring.Member{Name: name})
			}
		case foreign.CheckAddress(line) == nil && addresses < lastRingAddresses:
			if len(f.others) == 0 {
				f.others = append(f.others, ring.Member{})
			}
			m := &f.others[len(f.others)-1]
			m.Addresses, addresses = append(m.Addresses, line), addresses+1
		}
	}
	return f, nil
}

// checkLastRing refuses a directory whose last membership was in another cluster:
// this node would look for that ring, be refused there, and found none.
func (n *node) checkLastRing() error {
	was, err := n.readLastRing()
	if err != nil || was.cluster == "" || was.cluster == n.o.Cluster {
		return err
	}
	return fmt.Errorf("%w: %s was in a ring of cluster %q last, this node is of cluster %q; "+
		"give --cluster %s to join that ring again; else move the directory away, or choose another --data-dir",
		wal.ErrForeign, n.o.DataDir, was.cluster, n.o.Cluster, was.cluster)
}
