//go:build race

package sockio

import (
	"errors"
	"syscall"
)

// The race detector has to see the calls: it takes what is written as ordered
// before what is read afterwards.

func sysRead(fd uintptr, p []byte) (int, syscall.Errno) {
	n, err := syscall.Read(int(fd), p)
	errno, _ := errors.AsType[syscall.Errno](err)
	return n, errno
}

func sysWrite(fd uintptr, p []byte) (int, syscall.Errno) {
	n, err := syscall.Write(int(fd), p)
	errno, _ := errors.AsType[syscall.Errno](err)
	return n, errno
}
