package transport

import (
	"testing"

	"golang.org/x/sys/unix"
)

// What had arrived and is sent all the same is no loss.
func TestWhatAKernelRepeats(t *testing.T) {
	for _, c := range []struct {
		again, arrived uint32
		want           uint64
	}{{0, 0, 0}, {3, 0, 3}, {3, 2, 1}, {3, 3, 0}, {3, 4, 0}} {
		if got := tcpOf(unix.TCPInfo{Data_segs_out: 9, Total_retrans: c.again, Dsack_dups: c.arrived}); got.again != c.want || got.sent != 9 {
			t.Errorf("of %d that are repeated %d had arrived: got %+v", c.again, c.arrived, got)
		}
	}
}
