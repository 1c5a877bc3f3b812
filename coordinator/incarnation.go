package coordinator

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/membership"
	"github.com/arc-ring/arc/internal/plainfile"
)

// incarnationName is the file in the data directory that holds the newest
// incarnations, one a line, the newest first. Others learn from it whether a
// directory knows the process that the ring has recorded, or is an older copy.
const incarnationName = "incarnation"

// drawIncarnation makes this process's incarnation, larger than that of any
// former process on the same directory, also if the clock was set back. A file
// that cannot be read is a warning: then nobody can tell from it whether the
// directory is an older copy. One that cannot be written ends the start. The
// ring might record this process, and the next one would look like a copy.
func (n *node) drawIncarnation() error {
	path := filepath.Join(n.o.DataDir, incarnationName)
	former, err := formerIncarnations(path)
	inc, kept := membership.NextIncarnation(time.Now().UnixMilli(), randomID(), former)
	n.incarnation, n.former = inc, former
	var lines []byte
	for _, k := range kept {
		lines = fmt.Appendln(lines, k)
	}
	if err != nil {
		n.log.Warn("former incarnations not read; it matters if the data directory is ever restored from a copy", "error", err)
	}
	if err := plainfile.Replace(path, lines, 0o600, true); err != nil {
		return fmt.Errorf("remember the incarnation of this process: %w", err)
	}
	return nil
}

// formerIncarnations reads what former processes wrote, nothing if there were
// none.
func formerIncarnations(path string) ([]uint64, error) {
	b, err := plainfile.ReadFile(path, 32*election.FormerKept)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the former incarnations: %w", err)
	}
	var out []uint64
	for line := range strings.FieldsSeq(string(b)) {
		inc, err := strconv.ParseUint(line, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read the former incarnations in %s: %w", path, err)
		}
		if inc == math.MaxUint64 {
			return nil, fmt.Errorf("read the former incarnations in %s: nothing is above %d", path, inc)
		}
		if len(out) < election.FormerKept {
			out = append(out, inc)
		}
	}
	return out, nil
}
