// Package monotime reads the clock that measures leases, promises, probes and
// waits: the time since the machine booted, sleep included (CLOCK_BOOTTIME).
//
// It goes on while the process is stopped and while the machine sleeps, and
// is never set, so a lease cannot outlive a suspended laptop. Values of two
// machines, or of two boots, must not be compared. Now may be called from any
// goroutine.
package monotime
