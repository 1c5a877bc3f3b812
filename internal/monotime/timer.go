package monotime

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/mono"
)

// Timer tells when a moment of Now has come, some 50 µs after it. The runtime's
// own timers wait in whole milliseconds while nothing else goes on, which is
// late for what happens every two, and they wake another thread each time.
//
// Its owner alone may call its methods.
type Timer struct {
	// C gets a token when the moment came. It has room for one, which may be
	// of a moment that At has replaced since: look at the time.
	C <-chan struct{}

	fd    int
	file  *os.File
	armed mono.Instant
	ended chan struct{}
}

// NewTimer returns a timer that is set to no moment. Close has to be called.
func NewTimer() (*Timer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a timer: timerfd_create: %w", err)
	}
	file := os.NewFile(uintptr(fd), "timer")
	conn, _ := file.SyscallConn() // fails only without a file
	c := make(chan struct{}, 1)
	t := &Timer{C: c, fd: fd, file: file, ended: make(chan struct{})}
	go t.run(conn, c)
	return t, nil
}

// run waits in the runtime's poller, until Close.
func (t *Timer) run(conn syscall.RawConn, c chan<- struct{}) {
	defer close(t.ended)
	var times [8]byte
	come := func(fd uintptr) bool {
		_, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&times)), unsafe.Sizeof(times))
		return errno != unix.EAGAIN
	}
	for conn.Read(come) == nil {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// At sets the moment and replaces any other; one that is over comes at once, and
// mono.Never does not come.
func (t *Timer) At(moment mono.Instant) {
	moment = max(moment, 1) // 0 would switch the timer off
	if moment == t.armed {
		return
	}
	t.armed = moment
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(moment))}
	_, _, errno := unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(t.fd), unix.TFD_TIMER_ABSTIME, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	if errno != 0 {
		panic(fmt.Sprintf("timerfd_settime(%d, %v): %v", t.fd, moment, errno))
	}
}

// Fired has to be called when a token was taken, so that the same moment may be
// set again.
func (t *Timer) Fired() { t.armed = 0 }

// Close ends the timer; it must not be set any more.
func (t *Timer) Close() {
	// Nothing was written: there is nothing to lose.
	_ = t.file.Close()
	<-t.ended
}
