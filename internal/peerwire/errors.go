package peerwire

import "errors"

var (
	// ErrMalformed: a message that no ARC coordinator sends.
	ErrMalformed = errors.New("malformed peer message")
	// ErrTooLarge: a message above limits.Envelope.
	ErrTooLarge = errors.New("peer message too large")
)
