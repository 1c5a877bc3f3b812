package service

import (
	"github.com/arc-ring/arc/election"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

func suspicionFromWire(s *arcv1.Suspicion) election.Suspicion {
	return election.Suspicion{ID: s.GetId(), Incarnation: s.GetIncarnation(), Term: s.GetTerm(),
		Evidence: ring.Evidence(s.GetEvidence()), Cleared: s.GetCleared(), By: s.GetBy(), Grant: s.GetGrant(), Doubt: s.GetDoubt()}
}

func certificateFromWire(c *arcv1.Certificate) election.Certificate {
	return election.Certificate{Name: c.GetName(), ID: c.GetId(), Incarnation: c.GetIncarnation(), Exit: c.GetExit(), Clean: c.GetClean()}
}
