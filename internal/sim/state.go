package sim

import (
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// fnv is an FNV-1a hash that grows field by field.
type fnv uint64

func newPrint() fnv { return 14695981039346656037 }

func (p *fnv) num(v uint64) {
	x := uint64(*p)
	for range 8 {
		x = (x ^ v&0xff) * 1099511628211
		v >>= 8
	}
	*p = fnv(x)
}

func (p *fnv) str(v string) {
	x := uint64(*p)
	for i := range len(v) {
		x = (x ^ uint64(v[i])) * 1099511628211
	}
	*p = fnv((x ^ 0xff) * 1099511628211)
}

// statePrint covers what a ring.State holds, much cheaper than its Hash.
func statePrint(st *ring.State) uint64 {
	p := newPrint()
	p.str(st.RingID)
	p.num(st.Epoch)
	p.num(st.HighestID)
	p.num(st.Term)
	p.num(st.LeaderID)
	for _, m := range st.Members {
		p.num(m.ID)
		p.num(m.Incarnation)
		p.num(m.Nonce)
		p.str(m.Name)
		p.str(string(m.OnJoin))
		for _, a := range m.Addresses {
			p.str(a)
		}
	}
	p.num(uint64(len(st.History)))
	if n := len(st.History); n > 0 {
		l := st.History[n-1]
		p.num(l.Term)
		p.num(uint64(l.Since))
		p.num(uint64(l.Gap))
		p.str(l.Why)
		p.str(string(l.Evidence))
		p.str(l.After)
	}
	for _, l := range st.Led {
		p.str(l.Name)
		p.num(l.Term)
	}
	if d := st.Designated; d != nil {
		p.num(d.To)
		p.str(d.Why)
	}
	p.num(uint64(st.Settings.LeaseMS))
	p.num(uint64(st.Settings.IntervalMS))
	p.num(uint64(st.Settings.LeaderIntervalMS))
	p.num(uint64(st.Settings.MaxVoters))
	p.num(uint64(st.Settings.StaggerMS))
	return uint64(p)
}

// logApplied compares a member's new state with the ledger and with what
// others had at the same epoch.
func (s *Sim) logApplied(n *node, a election.Applied) {
	s.committed(n, a.Index)
	if s.failure != nil {
		return
	}
	g := &s.ledger
	if a.Index > g.last() {
		s.failAt(n, "log", "applied a snapshot of index %d, committed is only %d", a.Index, g.last())
		return
	}
	st := a.State
	if st.Epoch == 0 || st.Epoch >= uint64(len(g.byEpoch)) {
		s.failAt(n, "state", "is in epoch %d after index %d, the ledger in %d after %d", st.Epoch, a.Index, g.epoch, g.last())
		return
	}
	if want := g.epochAfter(a.Index); st.Epoch != want {
		s.failAt(n, "state", "is in epoch %d after index %d, by the log it is %d", st.Epoch, a.Index, want)
		return
	}
	mark := &g.byEpoch[st.Epoch]
	members := newPrint()
	for _, m := range st.Members {
		members.num(m.ID)
		members.num(m.Incarnation)
	}
	if mark.leader != st.LeaderID || mark.term != st.Term || mark.highest != st.HighestID || mark.members != uint64(members) {
		check := "state"
		if mark.leader != st.LeaderID || mark.term != st.Term {
			check = "G3"
		}
		s.failAt(n, check, "after epoch %d it has leader %d, term %d, highest id %d, members %s; by the rules it is leader %d, term %d, highest id %d, members %s",
			st.Epoch, st.LeaderID, st.Term, st.HighestID, membersText(st), mark.leader, mark.term, mark.highest, g.membersText())
		return
	}
	if mark.settings != st.Settings {
		s.failAt(n, "state", "after epoch %d it has the settings %+v, by the log they are %+v", st.Epoch, st.Settings, mark.settings)
		return
	}
	designated := uint64(0)
	if st.Designated != nil {
		designated = st.Designated.To
	}
	if mark.designated != designated {
		s.failAt(n, "state", "after epoch %d member %d is appointed, by the log it is %d (0: nobody)", st.Epoch, designated, mark.designated)
		return
	}
	if st.Term > n.knows {
		n.knows = st.Term
		s.known = append(s.known, Event{time.Duration(s.now), n.name, st.Term})
	}
	p := statePrint(st)
	if mark.print == 0 {
		mark.print = p
		if st.Epoch%8 == 0 {
			mark.hash = st.Hash()
		}
		return
	}
	if mark.print != p || mark.hash != "" && mark.hash != st.Hash() {
		s.failAt(n, "state", "its state of epoch %d differs from another member's: %+v", st.Epoch, *st)
	}
}
