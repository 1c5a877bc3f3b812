package election

import (
	"cmp"
	"slices"

	"github.com/arc-ring/arc/ring"
)

// links says with whom this member has to do, and whom its monitor has to probe.
type links struct {
	*identity
	linked *Relink // the newest; nil before the first
}

// relink says whom to monitor, whenever the ring's epoch or the term changes.
func (l *links) relink() {
	self, ok := l.ring.Member(l.cfg.ID)
	if was := l.linked; !ok || was != nil && was.Epoch == l.ring.Epoch && was.Term == l.ring.Term {
		return
	}
	self.Incarnation = l.cfg.Incarnation // the ring may not know of the restart yet
	r := Relink{Self: self, Epoch: l.ring.Epoch, Term: l.ring.Term, Successors: l.ring.Successors(l.cfg.ID), Settings: l.ring.Settings, LeaderID: l.ring.LeaderID}
	voters := l.ring.Voters()
	order := l.ring.Succession(l.cfg.ID)
	for _, id := range append(order, voters...) {
		told := slices.ContainsFunc(r.Tell, func(m ring.Member) bool { return m.ID == id })
		if m, ok := l.ring.Member(id); ok && id != l.cfg.ID && !told && slices.Contains(voters, id) {
			r.Tell = append(r.Tell, m)
		}
	}
	r.Urgent = l.linked == nil || !r.sameDuty(l.linked)
	l.linked = &r
	l.emit(r)
}

// peersChanged says who the peers are now.
func (l *links) peersChanged() {
	peers := make([]Peer, 0, len(l.ring.Members)+l.gone.Len())
	near := append(slices.Concat(l.wantedVoters(), l.allVoters()), l.ring.LeaderID, l.raftLead)
	voter := slices.Contains(near, l.cfg.ID)
	for _, m := range l.ring.Members {
		if m.ID != l.cfg.ID {
			m.Incarnation = l.identity.holder(m)
			peers = append(peers, Peer{Member: m, Distant: !voter && !slices.Contains(near, m.ID)})
		}
	}
	for _, m := range l.gone.All() {
		peers = append(peers, Peer{Member: *m, Retired: true})
	}
	// After a snapshot nothing but the id may be known of a former member.
	for _, id := range l.conf.GetVoters() {
		if l.gone.Get(id) == nil && l.ring.Gone(id) && id != l.cfg.ID {
			peers = append(peers, Peer{Member: ring.Member{ID: id}, Retired: true})
		}
	}
	slices.SortFunc(peers, func(a, b Peer) int { return cmp.Compare(a.ID, b.ID) })
	l.emit(PeersChanged{peers})
}

// sameDuty reports whether a monitor that has the link was does what r asks for,
// but for whom it would turn to next, or tell.
func (r *Relink) sameDuty(was *Relink) bool {
	if len(r.Successors) == 0 || len(was.Successors) == 0 || !sameTarget(r.Successors[0], was.Successors[0]) || !sameTarget(r.Self, was.Self) {
		return false
	}
	first := r.Successors[0].ID
	if (r.LeaderID == first) != (was.LeaderID == first) || r.LeaderID == first && r.Term != was.Term {
		return false
	}
	pace := func(s ring.Settings) [6]any {
		return [6]any{s.LeaderIntervalMS, s.LeaderMisses, s.IntervalMS, s.Misses, s.HangAfterMS, s.GrantLength()}
	}
	return pace(r.Settings) == pace(was.Settings)
}

// sameTarget reports whether two states of a member are the same process at the same
// addresses.
func sameTarget(a, b ring.Member) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Incarnation == b.Incarnation && slices.Equal(a.Addresses, b.Addresses)
}
