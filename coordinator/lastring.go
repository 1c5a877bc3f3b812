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
	"github.com/arc-ring/arc/ring"
)

// formerName is the file in the data directory that tells which ring this node
// belonged to before its log was dropped. A node that was evicted, or left,
// has to find that ring again and must not found another one, although it is
// started with --bootstrap or --expect.
const formerName = "former-ring"

const (
	// formerAddresses bounds the addresses kept in the file, and the names.
	formerAddresses = 256
	// formerMost bounds the file, in bytes.
	formerMost = 1 << 20
	// formerNameMark begins a line with a member's name. Its addresses follow.
	formerNameMark = "member "
	// formerLogs is the directory in the data directory into which the log of a
	// membership that ended is moved. It is deleted when a new membership holds.
	formerLogs = "former-logs"
	// formerLogsKept is how many are kept at most, while none holds.
	formerLogsKept = 4
)

// former is the ring that a node belonged to last; zero if it never did. In
// the file it is the ring's id, then the other members when they were last known,
// each with its name and its addresses, a line each.
type former struct {
	ringID string
	// others are the other members. A file of an older version has addresses of
	// which the names are not known.
	others []formerMember
}

type formerMember struct {
	name      string
	addresses []string
}

func formerOf(s *ring.State, self string) former {
	f := former{ringID: s.RingID}
	for _, m := range s.Members {
		if m.Name != self {
			f.others = append(f.others, formerMember{m.Name, m.Addresses})
		}
	}
	return f
}

// addresses are those of all other members.
func (f former) addresses() (all []string) {
	for _, m := range f.others {
		all = append(all, m.addresses...)
	}
	return all
}

// whereabouts names the other members, with their addresses.
func (f former) whereabouts() (all []string) {
	for _, m := range f.others {
		if m.name != "" {
			all = append(all, ring.Whereabouts(m.name, m.addresses))
		}
	}
	return all
}

func (n *node) formerPath() string { return filepath.Join(n.o.DataDir, formerName) }

func (n *node) formerLogsPath() string { return filepath.Join(n.o.DataDir, formerLogs) }

// dropLog ends the membership on the disk, and remembers which ring it was in.
// The log is moved aside: a node that was told to be out by mistake can have it
// back, by moving the file up again and starting the coordinator.
func (n *node) dropLog(f former) error {
	if err := n.writeFormer(f); err != nil {
		return fmt.Errorf("%w: remember the former ring: %w", reason.ErrStorage, err)
	}
	return n.moveLogAside()
}

func (n *node) writeFormer(f former) error {
	lines, addresses := []string{f.ringID}, 0
	for _, m := range f.others[:min(len(f.others), formerAddresses)] {
		lines = append(lines, formerNameMark+m.name)
		kept := m.addresses[:min(len(m.addresses), formerAddresses-addresses)]
		lines, addresses = append(lines, kept...), addresses+len(kept)
	}
	return writeDurably(n.formerPath(), strings.Join(lines, "\n")+"\n")
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

// formerRing reads what dropLog wrote.
func (n *node) formerRing() (former, error) {
	b, err := plainfile.ReadFile(n.formerPath(), formerMost)
	if errors.Is(err, os.ErrNotExist) {
		return former{}, nil
	}
	if err != nil {
		return former{}, fmt.Errorf("read which ring this node was in: %w", err)
	}
	lines := slices.DeleteFunc(strings.Split(string(b), "\n"), func(l string) bool { return l == "" })
	if len(lines) == 0 {
		return former{}, nil
	}
	f, addresses := former{ringID: lines[0]}, 0
	for _, a := range lines[1:] {
		if name, ok := strings.CutPrefix(a, formerNameMark); ok {
			if foreign.CheckName("name", name) == nil && len(f.others) < formerAddresses {
				f.others = append(f.others, formerMember{name: name})
			}
			continue
		}
		if foreign.CheckAddress(a) != nil || addresses >= formerAddresses {
			continue
		}
		if len(f.others) == 0 {
			f.others = append(f.others, formerMember{})
		}
		m := &f.others[len(f.others)-1]
		m.addresses, addresses = append(m.addresses, a), addresses+1
	}
	return f, nil
}

func writeDurably(path, text string) error {
	if err := plainfile.Replace(path, []byte(text), 0o600, true); err != nil {
		return err
	}
	dir, err := plainfile.OpenDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
