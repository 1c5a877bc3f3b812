package queue

import "errors"

var (
	// ErrNoQueue: the process was not started by a coordinator.
	ErrNoQueue = errors.New("no queue is inherited: arc monitor is started by arc coordinator, not by hand")
	// ErrClosed: the other side is gone, or this side was closed.
	ErrClosed = errors.New("the queue is closed")
	// ErrTooLarge: the message is above limits.QueueMessage.
	ErrTooLarge = errors.New("the link is too large for the queue")
	// ErrBadLink: the message is no valid link. The queue can go on.
	ErrBadLink = errors.New("bad link in the queue")
)
