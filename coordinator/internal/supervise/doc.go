// Package supervise starts a coordinator's monitor, keeps it running, and tells it
// by the local queue whom to probe.
//
// It decides when a monitor is started again, and when one that gives no sign of
// life is killed. Of the ring it knows the newest link alone, and not who leads.
// No method of Supervisor but Run blocks for longer than a fork takes. All may be
// called from any goroutine.
package supervise
