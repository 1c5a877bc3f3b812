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
	"github.com/arc-ring/arc/internal/plainfile"
)

// incarnationName is the file in the data directory that holds the incarnation
// drawn last.
const incarnationName = "incarnation"

// drawIncarnation makes this process's incarnation, larger than that of any
// former process on the same directory, also if the clock was set back: others
// take the larger of two for the newer. A file that cannot be read or written
// is a warning: it matters only when the clock goes back.
func (n *node) drawIncarnation() {
	inc := election.NewIncarnation(time.Now().UnixMilli(), randomID())
	path := filepath.Join(n.o.DataDir, incarnationName)
	last, err := lastIncarnation(path)
	if last >= inc {
		inc = last + 1
	}
	if werr := writeDurably(path, strconv.FormatUint(inc, 10)+"\n"); err == nil {
		err = werr
	}
	if err != nil {
		n.log.Warn("incarnation not remembered; it matters only if the clock is set back before the next start", "error", err)
	}
	n.incarnation = inc
}

// lastIncarnation reads what the former process wrote, 0 if there was none.
func lastIncarnation(path string) (uint64, error) {
	b, err := plainfile.ReadFile(path, 64)
	if os.IsNotExist(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the last incarnation: %w", err)
	}
	last, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the last incarnation in %s: %w", path, err)
	}
	if last == math.MaxUint64 {
		return 0, fmt.Errorf("read the last incarnation in %s: nothing is above %d", path, last)
	}
	return last, nil
}
