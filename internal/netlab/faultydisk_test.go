package netlab_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

// A disk does what its fault says, and is as before when that ends. A power cut ends
// what it holds.
func TestFaultyDisk(t *testing.T) {
	lab := netlab.New(t, netlab.Options{Hosts: 1, FaultyDisks: true})
	h := lab.Host(1)
	file := filepath.Join(h.Dir(), "file")
	write := func() string {
		out, err := h.Run(20*time.Second, "dd", "if=/dev/zero", "of="+file, "bs=1000", "count=3", "conv=fsync")
		if err != nil {
			return err.Error()
		}
		return out
	}
	for _, c := range []struct {
		fault netlab.DiskFault
		want  string
	}{
		{netlab.DiskFault{}, ""},
		{netlab.DiskFault{Full: true, Room: 1500}, "No space left on device"},
		{netlab.DiskFault{Write: syscall.EROFS}, "Read-only file system"},
		{netlab.DiskFault{Sync: syscall.EIO}, "Input/output error"},
		{netlab.DiskFault{Takes: time.Millisecond}, ""},
		{netlab.DiskFault{}, ""},
	} {
		h.BreakDisk(c.fault)
		if out := write(); !strings.Contains(out, c.want) {
			t.Errorf("%+v: dd says %q, want %q", c.fault, out, c.want)
		}
	}
	h.BreakDisk(netlab.DiskFault{Takes: netlab.Forever})
	held := h.Start("dd", "if=/dev/zero", "of="+file, "bs=1000", "count=3", "conv=fsync")
	h.PowerOff()
	held.Wait(20 * time.Second)
	h.Boot()
	if out, err := h.Run(20*time.Second, "ls", h.Dir()); err != nil || !strings.Contains(out, "file") {
		t.Errorf("after a power cut: %q, %v", out, err)
	}
}
