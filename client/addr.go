package client

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/plainfile"
)

// SocketName is the coordinator's unix socket in its run directory.
const SocketName = "arc.sock"

// rootRunDir is where root's coordinator keeps its socket.
const rootRunDir = "/run/arc"

// RunDir returns where a coordinator of the user keeps its socket and pid files:
// $ARC_RUN_DIR if set, /run/arc for root, else $XDG_RUNTIME_DIR/arc, else a
// directory named after the user in the temporary one.
func RunDir(env func(string) (string, bool), uid int) string {
	if dir, ok := env("ARC_RUN_DIR"); ok && dir != "" {
		return dir
	}
	if uid == 0 {
		return rootRunDir
	}
	if dir, ok := env("XDG_RUNTIME_DIR"); ok && filepath.IsAbs(dir) {
		return filepath.Join(dir, "arc")
	}
	return sharedRunDir(uid)
}

// sharedRunDir lies where everybody may make a directory of that name.
func sharedRunDir(uid int) string { return filepath.Join(os.TempDir(), "arc-"+strconv.Itoa(uid)) }

// notForeign refuses a default run directory that another user has made: what
// listens there could say that this machine leads.
func notForeign(addr string) error {
	dir := sharedRunDir(os.Geteuid())
	if path, isUnix := strings.CutPrefix(addr, unixPrefix); !isUnix || filepath.Dir(path) != dir {
		return nil
	}
	if err := plainfile.Owned(dir); errors.Is(err, plainfile.ErrOther) {
		return fmt.Errorf("the default run directory is not used: %w", err)
	}
	return nil // the dial says what else is wrong
}

// DefaultAddr returns $ARC_ADDR if set, else the socket in the RunDir of this user.
func DefaultAddr() string { return Addr(os.LookupEnv, os.Geteuid()) }

// Addr is DefaultAddr for a given environment and user.
func Addr(env func(string) (string, bool), uid int) string {
	if addr, ok := env("ARC_ADDR"); ok && addr != "" {
		return addr
	}
	return SocketAddr(RunDir(env, uid))
}

// SocketAddr returns the address of the coordinator with the run directory.
func SocketAddr(runDir string) string {
	return unixPrefix + filepath.Join(runDir, SocketName)
}

const unixPrefix = "unix://"

// parseAddr accepts unix:///path, unix:path, a plain path with a slash at its
// start or in ./, and host:port. It returns unix://PATH or HOST:PORT.
func parseAddr(addr string) (string, error) {
	path, isUnix := strings.CutPrefix(addr, "unix:")
	path = strings.TrimPrefix(path, "//")
	if !isUnix && (strings.HasPrefix(addr, "/") || strings.HasPrefix(addr, "./")) {
		path, isUnix = addr, true
	}
	const form = "host:port or unix:///path/to/" + SocketName
	if isUnix {
		switch {
		case path == "" || strings.HasSuffix(path, "/"):
			return "", fmt.Errorf("%s names no socket, want unix:///path/to/%s", foreign.Quote(addr), SocketName)
		case len(path) > limits.SocketPath:
			return "", fmt.Errorf("%s: a socket path has at most %d bytes, this one has %d", foreign.Quote(addr), limits.SocketPath, len(path))
		}
		return unixPrefix + path, nil
	}
	host, port, err := net.SplitHostPort(addr)
	_, bare := netip.ParseAddr(strings.Trim(addr, "[]"))
	switch {
	case bare == nil || addr != "" && !strings.Contains(addr, ":"):
		return "", fmt.Errorf("%s has no port, want %s", foreign.Quote(addr), form)
	case err == nil && host == "":
		return "", fmt.Errorf("%s has no host, want %s", foreign.Quote(addr), form)
	case err != nil:
		return "", fmt.Errorf("%s is not %s", foreign.Quote(addr), form)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("%s: port %s is not a number from 1 to 65535", foreign.Quote(addr), foreign.Quote(port))
	}
	return addr, nil
}
