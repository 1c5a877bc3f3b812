// Package hostaddr knows the addresses of this machine: which ones it has now
// (Table), which of them other machines may reach it at (Reachable), and when
// that changes (Table.Watch).
//
// It does not know whether an address leads from another machine to this one:
// a container bridge has the same address on every host. All functions may be
// called from any goroutine.
package hostaddr
