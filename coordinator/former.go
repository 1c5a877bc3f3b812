package coordinator

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/arc-ring/arc/ring"
)

// formerName is the file in the data directory that tells which ring this node
// belonged to before its log was dropped. A node that was evicted, or left,
// has to find that ring again and must not found another one, although it is
// started with --bootstrap or --expect.
const formerName = "former-ring"

// formerAddresses bounds the addresses kept in the file.
const formerAddresses = 256

// former is the ring that a node belonged to last; zero if it never did. In
// the file it is the ring's id and the addresses, a line each.
type former struct {
	ringID string
	// addresses of the other members when they were last known.
	addresses []string
}

func formerOf(s *ring.State, self string) former {
	f := former{ringID: s.RingID}
	for _, m := range s.Members {
		if m.Name != self {
			f.addresses = append(f.addresses, m.Addresses...)
		}
	}
	return f
}

func (n *node) formerPath() string { return filepath.Join(n.o.DataDir, formerName) }

// dropLog forgets the membership, and remembers which ring it was in.
func (n *node) dropLog(f former) error {
	lines := append([]string{f.ringID}, f.addresses[:min(len(f.addresses), formerAddresses)]...)
	if err := writeDurably(n.formerPath(), strings.Join(lines, "\n")+"\n"); err != nil {
		return fmt.Errorf("%w: remember the former ring: %w", ErrStorage, err)
	}
	if err := n.disk.Wipe(); err != nil {
		return fmt.Errorf("%w: drop the log of the former membership: %w", ErrStorage, err)
	}
	return nil
}

// formerRing reads what dropLog wrote.
func (n *node) formerRing() (former, error) {
	b, err := os.ReadFile(n.formerPath())
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
		if checkAddress(a) == nil && len(f.addresses) < formerAddresses {
			f.addresses = append(f.addresses, a)
		}
	}
	return f, nil
}

func writeDurably(path, text string) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
