package monitor

import "errors"

var (
	// ErrOptions: Run was called with options that cannot work.
	ErrOptions = errors.New("bad monitor options")
	// ErrAbandoned: the coordinator closed the queue and lives on, so another
	// monitor has taken over, or soon will.
	ErrAbandoned = errors.New("the coordinator closed the queue and lives on")
)
