package coordinator

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
	// formerNameMark begins a line with a member's name.
	formerNameMark = "member "
	// formerLogs is the directory in the data directory into which the log of a
	// membership that ended is moved. It is deleted when a new membership holds.
	formerLogs = "former-logs"
	// formerLogsKept is how many are kept at most, while none holds.
	formerLogsKept = 4
)

// former is the ring that a node belonged to last; zero if it never did. In
// the file it is the ring's id, the addresses and the names, a line each.
type former struct {
	ringID string
	// addresses of the other members when they were last known, and their names.
	addresses []string
	names     []string
}

func formerOf(s *ring.State, self string) former {
	f := former{ringID: s.RingID}
	for _, m := range s.Members {
		if m.Name != self {
			f.addresses = append(f.addresses, m.Addresses...)
			f.names = append(f.names, m.Name)
		}
	}
	return f
}

func (n *node) formerPath() string { return filepath.Join(n.o.DataDir, formerName) }

func (n *node) formerLogsPath() string { return filepath.Join(n.o.DataDir, formerLogs) }

// dropLog ends the membership on the disk, and remembers which ring it was in.
// The log is moved aside: a node that was told to be out by mistake can have it
// back, by moving the file up again and starting the coordinator.
func (n *node) dropLog(f former) error {
	lines := append([]string{f.ringID}, f.addresses[:min(len(f.addresses), formerAddresses)]...)
	for _, name := range f.names[:min(len(f.names), formerAddresses)] {
		lines = append(lines, formerNameMark+name)
	}
	if err := writeDurably(n.formerPath(), strings.Join(lines, "\n")+"\n"); err != nil {
		return fmt.Errorf("%w: remember the former ring: %w", ErrStorage, err)
	}
	return n.moveLogAside()
}

func (n *node) moveLogAside() error {
	if err := n.disk.Retire(n.formerLogsPath(), formerLogsKept); err != nil {
		return fmt.Errorf("%w: move the log of the former membership to %s: %w", ErrStorage, n.formerLogsPath(), err)
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
	f := former{ringID: lines[0]}
	for _, a := range lines[1:] {
		if name, ok := strings.CutPrefix(a, formerNameMark); ok && foreign.CheckName("name", name) == nil && len(f.names) < formerAddresses {
			f.names = append(f.names, name)
			continue
		}
		if foreign.CheckAddress(a) == nil && len(f.addresses) < formerAddresses {
			f.addresses = append(f.addresses, a)
		}
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
