package hostaddr

import (
	"context"
	"os"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/durations"
)

// groups are the kernel's notices of links, addresses and routes.
const groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE

// Watch calls changed after each change of the machine's links, addresses or
// routes, about ten times a second at most, until ctx ends. It does not say
// what has changed; the table knows it by then. Where the kernel gives no
// notices it calls once a second.
func (t *Table) Watch(ctx context.Context, log hclog.Logger, changed func()) {
	notices, err := subscribe()
	if err != nil {
		log.Warn("the kernel does not tell of changed addresses: they are read once a second", "error", err)
		for pause(ctx, durations.AddressesPoll) {
			t.refresh(false)
			changed()
		}
		return
	}
	t.follow(ctx, notices, changed)
}

func (t *Table) follow(ctx context.Context, notices *os.File, changed func()) {
	stop := context.AfterFunc(ctx, func() { _ = notices.Close() })
	defer stop()
	defer notices.Close()
	raw, _ := notices.SyscallConn() // fails only without a file
	defer t.refresh(false)
	t.refresh(true) // what changes from now on is noticed
	one := make([]byte, 1)
	for ctx.Err() == nil {
		// An error other than that of Close stands for notices that were dropped.
		_, _ = notices.Read(one)
		for more := true; more && ctx.Err() == nil; {
			t.refresh(true)
			changed()
			more = pause(ctx, durations.NoticesMerge) && drain(raw)
		}
	}
}

// drain reads what is there and reports whether that was anything.
func drain(raw syscall.RawConn) (any bool) {
	buf := make([]byte, 1)
	_ = raw.Read(func(fd uintptr) bool {
		for {
			n, err := unix.Read(int(fd), buf) // the rest of the notice is dropped
			switch {
			case err == unix.EINTR:
			case n > 0 || err == unix.ENOBUFS:
				any = true
			default:
				return true
			}
		}
	})
	return any
}

// subscribe opens a socket that is readable after each change.
func subscribe() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

// pause reports whether ctx lives on.
func pause(ctx context.Context, d time.Duration) bool {
	over, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-over.Done()
	return ctx.Err() == nil
}
