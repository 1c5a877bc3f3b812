// Package supervise starts a coordinator's monitor, keeps it running, and tells it
// by the local queue whom to probe.
//
// It decides when a monitor is started again, and when one that gives no sign of
// life is killed. It knows nothing of the ring but the newest link, and not who
// leads. No method of Supervisor blocks for longer than a fork takes, but Run.
// All may be called from any goroutine.
package supervise
