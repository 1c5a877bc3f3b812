package realtime

import "errors"

var (
	// ErrDenied: the process lacks a right that realtime needs; the error
	// names it.
	ErrDenied = errors.New("not permitted")
	// ErrLost: the policy did not survive the new execution.
	ErrLost = errors.New("a thread is not under SCHED_RR")
)
