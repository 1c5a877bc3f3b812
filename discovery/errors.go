package discovery

import "errors"

var (
	// ErrSeeking: another Seek is under way.
	ErrSeeking = errors.New("already looking for a ring")
	// ErrClosed: the service's Run has ended, or Close was called.
	ErrClosed = errors.New("discovery is closed")
	// ErrOptions: the options contradict themselves or the wire's limits.
	ErrOptions = errors.New("invalid discovery options")
	// ErrOtherNode: a founder asked for another node's word, at an address of
	// this one.
	ErrOtherNode = errors.New("another node")
	// ErrMalformed: a datagram that is not ours, too long, or breaks a rule.
	ErrMalformed = errors.New("malformed discovery datagram")
)
