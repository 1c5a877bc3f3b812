package service

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/trust"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
)

// looks are the calls that change nothing: each role may make them.
var looks = []string{
	arcv1.ArcService_Status_FullMethodName, arcv1.ArcService_History_FullMethodName,
	arcv1.ArcService_Watch_FullMethodName, arcv1.ArcService_GetSettings_FullMethodName,
	healthv1.Health_Check_FullMethodName, healthv1.Health_Watch_FullMethodName, healthv1.Health_List_FullMethodName,
	reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName,
	reflectionv1alpha.ServerReflection_ServerReflectionInfo_FullMethodName,
}

// operations are an operator's.
var operations = []string{
	arcv1.ArcService_Leave_FullMethodName, arcv1.ArcService_Evict_FullMethodName,
	arcv1.ArcService_Forget_FullMethodName, arcv1.ArcService_Handover_FullMethodName,
	arcv1.ArcService_Relink_FullMethodName, arcv1.ArcService_SetSettings_FullMethodName,
}

// monitors are the calls of this node's own monitor, which runs as its user.
var monitors = []string{localv1.LocalService_Monitor_FullMethodName}

// A party is who makes a call.
type party struct {
	// identity is proven by a certificate; zero without one.
	identity trust.Identity
	// unix is who is at the other end of the unix socket; nil over the network.
	unix *credential
	from string
	// until is the end of a client's certificate; zero for none.
	until time.Time
}

func partyOf(ctx context.Context) party {
	var p party
	if c, ok := peer.FromContext(ctx); ok {
		p.from = c.Addr.String()
		switch info := c.AuthInfo.(type) {
		case trust.Proof:
			p.identity, p.until = info.Identity, info.Until
		case credential:
			p.unix, p.from = &info, "this machine"
		}
	}
	return p
}

func (p party) String() string {
	switch {
	case p.unix != nil:
		return p.unix.String()
	case p.identity != trust.Identity{}:
		return p.identity.String()
	}
	return "nobody proven"
}

// mayCall says why a party must not make a call; nil if it may. forwarded: a member
// asks in the name of somebody whom it has let in.
func (s *Servers) mayCall(p party, method string, forwarded bool) error {
	look, operation := slices.Contains(looks, method), slices.Contains(operations, method)
	role := p.identity.Role
	switch {
	case look:
		return nil
	case p.unix != nil:
		switch {
		case p.unix.uid == 0 || p.unix.uid == os.Geteuid():
			return nil
		case operation:
			return nil // the socket's group may
		}
		return fmt.Errorf("%w: %s is for root and the coordinator's user alone, this is %s", reason.ErrDenied, path.Base(method), p)
	case role == trust.Member && !slices.Contains(monitors, method):
		return nil
	case role == trust.Operate && operation:
		return nil
	case role != "" && operation:
		return fmt.Errorf("%w: a certificate with the role %s does not allow %s; `arc secret issue --role operate` makes one that does", reason.ErrDenied, role, command(method))
	case role != "":
		return fmt.Errorf("%w: %s is not for a certificate with the role %s", reason.ErrDenied, path.Base(method), role)
	case s.o.Insecure || !operation || forwarded:
		return nil // nobody can be told apart
	}
	return fmt.Errorf("%w: without a secret changes come over the unix socket alone: run arc on this machine without --addr, or make a secret with `arc secret new`", reason.ErrDenied)
}

// speaksFor says why a call must not be made in a member's name: the certificate is
// for another one. Where nobody is proven everybody may.
func speaksFor(ctx context.Context, name string) error {
	id, proven := trust.Of(ctx)
	if !proven || id.Role == trust.Member && id.Name == name {
		return nil
	}
	return fmt.Errorf("%w: the certificate is for %s, it cannot speak for %s", reason.ErrDenied, id, foreign.Quote(name))
}

// SpeaksFor says why the other end of a connection cannot be the member with this id, nor
// have the name that it gives; a member may leave that out.
func (s *Servers) SpeaksFor(ctx context.Context, id uint64, name string) error {
	if m, ok := s.o.Hub.Load().Ring.Member(id); ok {
		if err := speaksFor(ctx, m.Name); err != nil {
			return err
		}
		name = cmp.Or(name, m.Name)
	}
	return speaksFor(ctx, name)
}

// isForwarded reports whether a request says that a member passed it on.
func isForwarded(req any) bool {
	r, ok := req.(interface{ GetForwarded() bool })
	return ok && r.GetForwarded()
}

// admit is what each call goes through first.
func (s *Servers) admit(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	p, forwarded := partyOf(ctx), isForwarded(req) // the handler says so of what it passes on
	err := s.mayCall(p, info.FullMethod, forwarded)
	var resp any
	if err == nil {
		resp, err = handler(ctx, req)
	}
	s.audit(p, info.FullMethod, req, forwarded, err)
	return resp, err
}

// admitStream is admit for a stream. Whether it was forwarded does not matter: no
// operation is a stream. One lasts no longer than the client's certificate.
func (s *Servers) admitStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	p := partyOf(stream.Context())
	defer func() { s.audit(p, info.FullMethod, nil, false, err) }()
	if err := s.mayCall(p, info.FullMethod, false); err != nil {
		return err
	}
	if p.until.IsZero() {
		return handler(srv, stream)
	}
	ended := fmt.Errorf("%w: %s, at %s; take a new one from `arc secret issue`, or from your own authority", reason.ErrCertificateEnded, p, p.until.Format(time.RFC3339))
	ctx, cancel := context.WithDeadlineCause(stream.Context(), p.until, ended)
	defer cancel()
	err = handler(srv, bounded{stream, ctx})
	if err != nil && context.Cause(ctx) == ended {
		return ended
	}
	return err
}

// bounded is a stream with a context of its own.
type bounded struct {
	grpc.ServerStream
	ctx context.Context
}

func (b bounded) Context() context.Context { return b.ctx }
