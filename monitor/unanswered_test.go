package monitor

import (
	"testing"

	"google.golang.org/grpc"

	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/monitor/detector"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// sink takes what is sent.
type sink struct {
	grpc.BidiStreamingClient[peerv1.ProbeRequest, peerv1.ProbeResponse]
	taken uint64
}

func (s *sink) SendMsg(any) error { s.taken++; return nil }

// A neighbour that answers nothing gets so many probes on a stream, and one more when it
// has answered one.
func TestProbesWithoutAnswerAreBounded(t *testing.T) {
	m, s := &monitor{link: &localv1.Link{}}, &sink{}
	a := &attempt{neighbour: &neighbour{}, stream: s, ping: &peerv1.ProbeRequest{}}
	for seq := uint64(1); seq <= limits.UnansweredProbes+1; seq++ {
		m.send(a, detector.Action{Seq: seq})
	}
	if s.taken != limits.UnansweredProbes {
		t.Errorf("%d probes were sent, want %d", s.taken, limits.UnansweredProbes)
	}
	a.answered++
	m.send(a, detector.Action{Seq: 100})
	if s.taken != limits.UnansweredProbes+1 {
		t.Errorf("%d probes were sent after an answer, want one more", s.taken)
	}
}
