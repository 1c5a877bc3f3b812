package supervise

import "golang.org/x/sys/unix"

// reservedFDs is more than the start of a monitor needs: the queue's two ends,
// what os/exec opens for a moment, the handle of the process, and the connection
// by which it registers.
const reservedFDs = 12

// fdReserve keeps descriptors back, so that the start of a process does not fail
// when connections have taken all that the limit allows. Its owner's lock, or
// goroutine, guards it.
type fdReserve struct{ fds []int }

// refill takes what is missing; what cannot be had now is taken next time.
func (r *fdReserve) refill() {
	for len(r.fds) < reservedFDs {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return
		}
		r.fds = append(r.fds, fd)
	}
}

// release gives them back to the next caller that opens something.
func (r *fdReserve) release() {
	for _, fd := range r.fds {
		_ = unix.Close(fd) // nothing was written
	}
	r.fds = nil
}
