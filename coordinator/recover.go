package coordinator

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/plainfile"
	"github.com/arc-ring/arc/internal/wal"
	"github.com/arc-ring/arc/ring"
)

// Recovery is a ring that too few members are left of, about to be founded again
// from the data directory of one that does not run. It holds the directory's
// lock until Close.
type Recovery struct {
	*election.Survivor
	// Gone are those whom the operator named.
	Gone []string

	dir string
	log *wal.Log
	id  wal.Identity
}

// Recovered is what a Recovery did.
type Recovered struct {
	RingID string `json:"ring_id"`
	Name   string `json:"name"`
	// ID is the node's new one, Epoch the ring's; tokens will be above TokenAbove.
	ID         uint64   `json:"id,string"`
	Epoch      uint64   `json:"epoch,string"`
	TokenAbove uint64   `json:"token_above,string"`
	Gone       []string `json:"gone"`
	// Copy is the directory that holds what was there before.
	Copy string `json:"copy"`
}

// OpenRecovery reads the directory and refuses what must not be done: while the
// node runs, while the others are a majority, without a ring. It changes nothing
// that a start of the node would not.
func OpenRecovery(dataDir string, gone []string, log hclog.Logger) (_ *Recovery, err error) {
	if info, err := os.Stat(dataDir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("recover from %s: no such directory; --data-dir names the one that the coordinator is started with", dataDir)
	}
	// Opening makes a lock file, which a wrong directory is not to be left with.
	switch holds, err := wal.Holds(dataDir); {
	case err != nil:
		return nil, fmt.Errorf("recover from %s: %w", dataDir, err)
	case !holds:
		return nil, fmt.Errorf("recover from %s: %w; %s", dataDir, wal.ErrFresh, withoutLog(dataDir))
	}
	l, rec, err := wal.Open(dataDir, wal.Options{Logger: log})
	if err != nil {
		return nil, fmt.Errorf("recover from %s: %w", dataDir, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if rec.Fresh {
		return nil, fmt.Errorf("recover from %s: %w; %s", dataDir, wal.ErrFresh, withoutLog(dataDir))
	}
	gone = slices.Compact(slices.Sorted(slices.Values(gone)))
	r := &Recovery{Gone: gone, dir: filepath.Clean(dataDir), log: l, id: rec.Identity}
	r.Survivor, err = election.Survive(election.Recovered{HardState: rec.HardState, Snapshot: rec.Snapshot, Entries: rec.Entries, Bound: rec.Bound}, rec.Identity.ID, rec.Identity.Name)
	if err != nil {
		return nil, fmt.Errorf("recover from %s: %w", dataDir, err)
	}
	if err := r.Without(gone); err != nil {
		if errors.Is(err, ring.ErrNotMember) {
			// No coordinator runs that could be asked for its members.
			err = fmt.Errorf("%w; the members that this disk knows are %s", err, strings.Join(r.Known(), ", "))
		}
		return nil, fmt.Errorf("recover from %s without %s: %w", dataDir, strings.Join(gone, ", "), err)
	}
	return r, nil
}

// withoutLog says what can be done in a directory without a ring.
func withoutLog(dir string) string {
	logs, _ := filepath.Glob(filepath.Join(dir, formerLogs, "*.log"))
	if len(logs) == 0 {
		return "recover on another node's disk"
	}
	newest := slices.MaxFunc(logs, func(a, b string) int { return modified(a).Compare(modified(b)) })
	name := filepath.Base(newest)
	return fmt.Sprintf("recover on another node's disk, or from this node's last membership: move %s to %s and run this again",
		newest, filepath.Join(dir, name[strings.LastIndexByte(name, '-')+1:]))
}

func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// Rejoin returns the names of the members that are not named gone: they join the
// ring again when they run.
func (r *Recovery) Rejoin() []string {
	var names []string
	for _, m := range r.Ring.Members {
		if m.Name != r.Name && !slices.Contains(r.Gone, m.Name) {
			names = append(names, m.Name)
		}
	}
	return names
}

// Do keeps a copy of the directory beside it and founds the ring again. After a
// crash in the midst of it either the old ring is there or the new one.
func (r *Recovery) Do(now time.Time) (Recovered, error) {
	why := fmt.Sprintf("recovered by the operator from the disk of %s, without %s", r.Name, strings.Join(r.Gone, ", "))
	rec, st, err := r.Refound(why, now.UnixMicro())
	if err != nil {
		return Recovered{}, fmt.Errorf("recover from %s: %w", r.dir, err)
	}
	copied := fmt.Sprintf("%s.before-recover-%s", r.dir, now.UTC().Format("20060102T150405Z"))
	if err := copyDir(r.dir, copied); err != nil {
		return Recovered{}, fmt.Errorf("keep a copy of %s: %w; nothing was changed", r.dir, err)
	}
	r.id.ID = st.HighestID
	batch := wal.Batch{HardState: rec.HardState, Snapshot: rec.Snapshot, Bound: rec.Bound, Sync: true}
	if err := r.log.Refound(r.id, batch); err != nil {
		return Recovered{}, fmt.Errorf("recover from %s, of which %s is a copy: %w", r.dir, copied, err)
	}
	return Recovered{RingID: st.RingID, Name: r.Name, ID: r.id.ID, Epoch: st.Epoch, TokenAbove: rec.HardState.GetTerm(), Gone: r.Gone, Copy: copied}, nil
}

// Close gives the directory back.
func (r *Recovery) Close() error { return r.log.Close() }

// copyDir makes to a durable copy of from, but for the lock. It fails if to is
// there.
func copyDir(from, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == from {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case rel == "lock":
			return nil
		case d.IsDir():
			return os.Mkdir(filepath.Join(to, rel), 0o700)
		case !d.Type().IsRegular():
			return nil // nothing of ARC's
		}
		return copyFile(path, filepath.Join(to, rel))
	})
	if err != nil {
		return err
	}
	return plainfile.SyncDir(to)
}

func copyFile(from, to string) error {
	source, err := plainfile.Open(from, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errors.Join(err, source.Close())
	}
	_, err = io.Copy(f, source)
	return errors.Join(err, f.Sync(), f.Close(), source.Close())
}
