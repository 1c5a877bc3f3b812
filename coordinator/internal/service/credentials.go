package service

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/credentials"

	"github.com/arc-ring/arc/internal/trust"
)

// credential is who the kernel says is at the other end of the unix socket.
type credential struct {
	credentials.CommonAuthInfo
	uid, pid int
}

// AuthType is credentials.AuthInfo's.
func (credential) AuthType() string { return "unix" }

func (c credential) String() string { return fmt.Sprintf("uid %d, pid %d", c.uid, c.pid) }

// unixCredentials asks the kernel who connected (unix(7), SO_PEERCRED).
type unixCredentials struct {
	credentials.TransportCredentials
}

func (unixCredentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, err := credentialOf(raw)
	if err != nil {
		_ = raw.Close()
		return nil, nil, fmt.Errorf("ask who is at the unix socket: %w", err)
	}
	return raw, c, nil
}

func credentialOf(conn net.Conn) (c credential, err error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return c, fmt.Errorf("a %T has no socket", conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return c, err
	}
	var got *unix.Ucred
	var failed error
	err = errors.Join(raw.Control(func(fd uintptr) { got, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }), failed)
	if err != nil {
		return c, err
	}
	c.SecurityLevel = credentials.PrivacyAndIntegrity
	c.uid, c.pid = int(got.Uid), int(got.Pid)
	return c, nil
}

// doorCredentials puts a connection whose certificate is a member's on the members'
// account at once, so that a flood of strangers cannot cost it its place. Others are
// read from at a bearable pace from then on.
type doorCredentials struct {
	credentials.TransportCredentials
	d *door
}

func (c doorCredentials) Clone() credentials.TransportCredentials { return c }

func (c doorCredentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := c.TransportCredentials.ServerHandshake(raw)
	if g, ok := raw.(*guest); ok && err == nil {
		if proof, ok := info.(trust.Proof); ok && proof.Identity.Role == trust.Member {
			c.d.know(g)
		} else {
			g.paced.Store(true)
		}
	}
	return conn, info, err
}
