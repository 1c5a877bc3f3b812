package sim

import "slices"

// resolve finds the machine that a fault hits, or any if nobody has the role.
func (s *Sim) resolve(t Target, subject int) *node {
	i := int(t)
	switch t {
	case TheLeader:
		i = s.leaderNow()
	case TheHeir:
		i = s.machineOf(s.ledger.heir([]uint64{s.ledger.Leader}))
	case TheWatcher:
		if l := s.leaderNow(); l >= 0 {
			i = s.predecessor(s.nodes[l].id)
		}
	case TheSubject:
		i = subject
	case ANewest:
		if m := s.ledger.Members; len(m) > 0 {
			i = s.machineOf(m[len(m)-1].ID)
		}
	}
	if i < 0 || i >= len(s.nodes) {
		return s.nodes[s.rnd.IntN(len(s.nodes))]
	}
	return s.nodes[i]
}

// someVoter is one of the voters that run, but for the leader.
func (s *Sim) someVoter(n int) *node {
	leader := s.leaderNow()
	for i := range s.nodes {
		o := s.nodes[(i+n)%len(s.nodes)]
		if o.idx != leader && o.core != nil && !o.paused && slices.Contains(s.ledger.voters, o.id) {
			return o
		}
	}
	return nil
}

func (s *Sim) predecessor(id uint64) int {
	m := s.ledger.Members
	for i := range m {
		if m[i].ID == id {
			return s.machineOf(m[(i+len(m)-1)%len(m)].ID)
		}
	}
	return -1
}
