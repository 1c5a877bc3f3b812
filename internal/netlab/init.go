package netlab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// hostInit is the program name under which this program starts itself as the
// first process of a host: hostInit, host name, directory, its disk's bytes.
const hostInit = "arc-netlab-host"

const ready = "ready\n"

func init() {
	if len(os.Args) == 4 && os.Args[0] == hostInit {
		os.Exit(asHostInit(os.Args[1], os.Args[2], os.Args[3]))
	}
}

// asHostInit is a host's first process. It makes the mounts, says that it is
// ready, and from then on collects the processes that nobody else waits for.
// It ends when its input does, that is, with the process that holds the lab;
// the kernel then kills all others on the host.
func asHostInit(name, dir, diskBytes string) int {
	if err := furnish(name, dir, diskBytes); err != nil {
		fmt.Println(err)
		return 1
	}
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	signal.Ignore(unix.SIGPIPE)
	if _, err := os.Stdout.WriteString(ready); err != nil {
		return 1
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	for {
		select {
		case <-ended:
			return 0
		case <-children:
			for {
				pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
				if pid <= 0 && !errors.Is(err, unix.EINTR) {
					break
				}
			}
		}
	}
}

// furnish sets up what is private to the host.
func furnish(name, dir, diskBytes string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("run", "/run", "tmpfs", 0, "size=64m,mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	if size, err := strconv.ParseInt(diskBytes, 10, 64); err != nil {
		return fmt.Errorf("disk size %q: %w", diskBytes, err)
	} else if size > 0 {
		if err := unix.Mount("disk", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=755", size)); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	// IPv6 addresses shall be usable at once; a kernel without IPv6 is fine.
	for _, which := range strings.Fields("all default") {
		err := os.WriteFile("/proc/sys/net/ipv6/conf/"+which+"/accept_dad", []byte("0"), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
