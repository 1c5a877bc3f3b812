package supervise

import "golang.org/x/sys/unix"

// reservedFDs is more than the start of a monitor needs: the queue's two ends,
// what os/exec opens for a moment, the handle of the process, and the connection
// by which it registers.
const reservedFDs = 12

// refillReserveLocked keeps descriptors back, so that the start of a process does not
// fail when connections have taken all that the limit allows. It takes what is missing;
// what cannot be had now is taken next time.
func (s *Supervisor) refillReserveLocked() {
	for len(s.reserve) < reservedFDs {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return
		}
		s.reserve = append(s.reserve, fd)
	}
}

// releaseReserve gives them back to the next caller that opens something.
func (s *Supervisor) releaseReserve() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fd := range s.reserve {
		_ = unix.Close(fd) // nothing was written
	}
	s.reserve = nil
}
