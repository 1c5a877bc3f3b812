package monotime

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/mono"
)

// Now returns the time since boot. It panics if the kernel has no
// CLOCK_BOOTTIME, which every Linux since 2.6.39 has.
func Now() mono.Instant {
	var ts unix.Timespec
	// Raw, since it never blocks: each ordinary system call wakes a thread of
	// the runtime (see internal/sockio).
	if _, _, errno := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		panic(fmt.Sprintf("clock_gettime(CLOCK_BOOTTIME): %v", errno))
	}
	return mono.Instant(ts.Nano())
}
