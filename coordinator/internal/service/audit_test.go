package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/trust"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// A change that is asked for leaves a line: what, by whom, from where, and what came of
// it, also if it was not allowed. So does what else is denied. A look leaves none.
func TestEachChangeLeavesALine(t *testing.T) {
	var log bytes.Buffer
	s := &Servers{o: Options{Trust: trust.Minted([]trust.Secret{trust.NewSecret()}, trust.Identity{Cluster: "c", Role: trust.Member, Name: "n1"}),
		Log: hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Info})}}
	by := func(r trust.Role) context.Context {
		return peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 9), Port: 77},
			AuthInfo: trust.Proof{Identity: trust.Identity{Cluster: "c", Role: r, Name: "alice"}}})
	}
	for _, c := range []struct {
		role   trust.Role
		method string
		req    any // nil for a stream
		err    error
		want   []string // nil for no line
	}{
		{trust.Operate, arcv1.ArcService_Evict_FullMethodName, &arcv1.EvictRequest{Name: "n2"}, nil,
			[]string{"change=evict", "argument=n2", "by=spiffe://c/operate/alice", "address=10.0.0.9:77", "forwarded=false", "outcome=done"}},
		{trust.Operate, arcv1.ArcService_SetSettings_FullMethodName, &arcv1.SetSettingsRequest{Changes: map[string]string{"b": "2", "a": "1"}}, errors.New("no"),
			[]string{`change="config set"`, `argument="a=1 b=2"`, `outcome="refused: no"`}},
		{trust.Read, arcv1.ArcService_Handover_FullMethodName, &arcv1.HandoverRequest{Name: "n3"}, nil,
			[]string{"change=handover", "argument=n3", "by=spiffe://c/read/alice", "refused: "}},
		{trust.Operate, arcv1.ArcService_Handover_FullMethodName, &arcv1.HandoverRequest{Name: "n3"}, nil,
			[]string{"change=handover", "by=spiffe://c/operate/alice", "forwarded=false", "outcome=done"}},
		{trust.Member, arcv1.ArcService_Leave_FullMethodName, &arcv1.LeaveRequest{Name: "alice", Forwarded: true}, nil,
			[]string{"change=leave", "by=spiffe://c/member/alice", "forwarded=true"}},
		{trust.Member, peerv1.PeerService_Certify_FullMethodName, &peerv1.CertifyRequest{}, fmt.Errorf("%w: it is not n2", reason.ErrDenied),
			[]string{"a call was denied", "call=certify", "by=spiffe://c/member/alice", "address=10.0.0.9:77", "it is not n2"}},
		{trust.Member, peerv1.PeerService_Certify_FullMethodName, &peerv1.CertifyRequest{}, errors.New("no"), nil},
		{trust.Read, peerv1.ProbeService_Probe_FullMethodName, nil, nil, []string{"a call was denied", "call=probe", "by=spiffe://c/read/alice"}},
		{trust.Operate, arcv1.ArcService_Status_FullMethodName, &arcv1.StatusRequest{}, nil, nil},
	} {
		log.Reset()
		var err error
		if c.req != nil {
			_, err = s.admit(by(c.role), c.req, &grpc.UnaryServerInfo{FullMethod: c.method}, func(_ context.Context, req any) (any, error) {
				if h, ok := req.(*arcv1.HandoverRequest); ok {
					h.Forwarded = true // as atLeader does where this node does not lead
				}
				return nil, c.err
			})
		} else {
			err = s.admitStream(nil, streamOf{ctx: by(c.role)}, &grpc.StreamServerInfo{FullMethod: c.method}, func(any, grpc.ServerStream) error { return c.err })
		}
		line := log.String()
		for _, part := range c.want {
			if !strings.Contains(line, part) {
				t.Errorf("%s by %s, %v: no %s in %q", c.method, c.role, err, part, line)
			}
		}
		if c.want == nil && line != "" {
			t.Errorf("%s leaves %q", c.method, line)
		}
	}
}

// streamOf is a stream that has a context and nothing else.
type streamOf struct {
	grpc.ServerStream
	ctx context.Context
}

func (s streamOf) Context() context.Context { return s.ctx }
