package monotime

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Now returns the time since boot. It panics if the kernel has no
// CLOCK_BOOTTIME, which every Linux since 2.6.39 has.
func Now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(fmt.Sprintf("clock_gettime(CLOCK_BOOTTIME): %v", err))
	}
	return time.Duration(ts.Nano())
}
