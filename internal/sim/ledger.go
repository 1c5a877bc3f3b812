package sim

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/verify"
	"github.com/arc-ring/arc/ring"
)

// ledger is what is committed, merged over all nodes: the one log that all of
// them must agree with, and what follows from it by rules that are written
// down here a second time.
type ledger struct {
	verify.Ring
	checker verify.Checker

	ents []*raftpb.Entry // from base+1 on
	base uint64          // index of the founder's snapshot

	gone     map[uint64]verify.Member
	addrs    map[uint64]string // of every member that ever was
	term     uint64
	highest  uint64
	epoch    uint64
	founded  uint64 // the epoch that the log begins with
	settings ring.Settings
	leases   []leaseSince

	voters, outgoing []uint64 // raft's configuration
	confAt           int64    // true time of its last change
	confs            []confMark

	byEpoch   []epochMark
	epochs    []uint64 // after each of ents
	changed   []settingsMark
	forgotten []forgetMark
	leaders   []leaderMark
	evicted   int

	second  int64 // of which entries are counted
	entries int
}

// entriesMost is how many entries a second the log may grow by: nobody asks for
// so many changes, so more come from a decision that is taken again and again.
const entriesMost = 1000

func newLedger() ledger {
	return ledger{Ring: verify.Ring{Led: map[string]uint64{}}, checker: verify.Checker{DeclaredFirst: true}, gone: map[uint64]verify.Member{}, addrs: map[uint64]string{}}
}

// join adds a member, and reports what is wrong with its id.
func (g *ledger) join(id uint64, m ring.Member) []verify.Violation {
	g.addrs[id] = strings.Join(m.Addresses, " ")
	g.Join(verify.Member{Process: verify.Process{Name: m.Name, ID: id, Incarnation: m.Incarnation}, Witness: m.Witness})
	return g.checker.Named(id, m.Name)
}

// epochMark is what every member's state must be after the same epoch.
type epochMark struct {
	leader, term, highest, members, designated uint64
	settings                                   ring.Settings
	print                                      uint64 // fingerprint of the first state seen; 0: none yet
	hash                                       string // ring's own hash, now and then
}

// epochAfter is the epoch after an index.
func (g *ledger) epochAfter(index uint64) uint64 {
	if index <= g.base {
		return g.founded
	}
	return g.epochs[index-g.base-1]
}

// confMark is raft's configuration from an index on.
type confMark struct {
	index            uint64
	voters, outgoing []uint64
}

// confAfter is the configuration that somebody knows who knows that the log is
// committed up to an index.
func (g *ledger) confAfter(index uint64) (voters, outgoing []uint64) {
	for i := len(g.confs) - 1; i >= 0; i-- {
		if g.confs[i].index <= index {
			return g.confs[i].voters, g.confs[i].outgoing
		}
	}
	return nil, nil
}

type leaseSince struct {
	at    int64
	lease time.Duration
}

type birthKey struct{ index, term uint64 }

func (g *ledger) last() uint64 { return uint64(len(g.ents)) + g.base }

func (g *ledger) at(index uint64) *raftpb.Entry {
	if index <= g.base || index > g.last() {
		return nil
	}
	return g.ents[index-g.base-1]
}

// heir is the heir without those that are dead, 0 if there is none.
func (g *ledger) heir(dead []uint64) uint64 {
	m, _ := g.Heir(func(m verify.Member) bool { return slices.Contains(dead, m.ID) })
	return m.ID
}

// logPersist follows what a core hands out for its log.
func (s *Sim) logPersist(n *node, p *election.Persist) {
	l := &n.log
	if p.Snapshot != nil {
		if next := p.Snapshot.GetMetadata().GetIndex() + 1; p.Reset || next > l.last()+1 {
			l.ents, l.first, l.term = nil, next, p.Snapshot.GetMetadata().GetTerm()
			n.checked = max(n.checked, next-1)
		}
	}
	if len(p.Entries) > 0 || p.Snapshot != nil {
		l.grewAt = s.now
	}
	for i, e := range p.Entries {
		at := e.GetIndex()
		if i == 0 {
			if at < l.first || at > l.last()+1 {
				s.failAt(n, "log", "persists entry %d, its log is %d to %d", at, l.first, l.last())
				return
			}
			l.ents = l.ents[:at-l.first]
		}
		l.ents = append(l.ents, e)
		if len(e.GetData()) > 0 && e.GetType() == raftpb.EntryNormal {
			s.born(n, e)
		}
		if c := s.ledger.at(at); c != nil && at <= n.checked && !sameEntry(c, e) {
			s.failAt(n, "log", "replaces entry %d of term %d, which is committed, by one of term %d", at, c.GetTerm(), e.GetTerm())
			return
		}
	}
	n.wrote = s.now
	if p.HardState != nil {
		s.committed(n, p.HardState.GetCommit())
	}
}

func sameEntry(a, b *raftpb.Entry) bool {
	return a == b || a.GetTerm() == b.GetTerm() && a.GetType() == b.GetType() && bytes.Equal(a.GetData(), b.GetData())
}

// committed compares what a node takes for committed with the ledger, or is
// the first to tell of it.
func (s *Sim) committed(n *node, upto uint64) {
	g := &s.ledger
	for i := max(n.checked+1, g.base+1); i <= upto && s.failure == nil; i++ {
		e := n.log.at(i)
		if e == nil {
			s.failAt(n, "log", "takes entry %d for committed, but its log is %d to %d", i, n.log.first, n.log.last())
			return
		}
		if c := g.at(i); c != nil {
			if !sameEntry(c, e) {
				s.failAt(n, "log", "entry %d is committed as %s, and here as %s", i, entryText(c), entryText(e))
			}
		} else {
			s.append(n, e)
		}
		n.checked = i
	}
}

// append adds the next committed entry to the ledger and judges it.
func (s *Sim) append(n *node, e *raftpb.Entry) {
	g := &s.ledger
	if last := g.at(g.last()); last != nil && e.GetTerm() < last.GetTerm() {
		s.failAt(n, "log", "entry %d has term %d, the one before it has %d", e.GetIndex(), e.GetTerm(), last.GetTerm())
		return
	}
	g.ents, g.epochs = append(g.ents, e), append(g.epochs, g.epoch)
	if second := s.now / int64(time.Second); second != g.second {
		g.second, g.entries = second, 0
	}
	if g.entries++; g.entries > entriesMost {
		s.failAt(n, "flood", "more than %d entries were committed in a second, the last is %s", entriesMost, entryText(e))
		return
	}
	switch e.GetType() {
	case raftpb.EntryConfChangeV2:
		cc := &raftpb.ConfChangeV2{}
		if err := proto.Unmarshal(e.GetData(), cc); err != nil {
			s.failAt(n, "log", "entry %d: %v", e.GetIndex(), err)
			return
		}
		g.configure(cc)
		g.confs = append(g.confs, confMark{e.GetIndex(), g.voters, g.outgoing})
		g.confAt = s.now
		s.stats.count("log: configuration changes", 1)
		if s.tracing() {
			s.tracef(n, "committed %d: votes now %v %v", e.GetIndex(), g.voters, g.outgoing)
		}
		s.trigger("conf", n)
		return
	case raftpb.EntryConfChange:
		s.failAt(n, "log", "entry %d is an old-style configuration change", e.GetIndex())
		return
	}
	if len(e.GetData()) == 0 {
		return
	}
	c, err := ring.DecodeCommand(e.GetData())
	if err != nil {
		s.failAt(n, "log", "entry %d: %v", e.GetIndex(), err)
		return
	}
	s.judgeAsked(e, c)
	if why := s.judge(e, c); why != "" {
		s.tracef(n, "committed %d: no effect (%s): %v", e.GetIndex(), why, c)
		return
	}
	s.tracef(n, "committed %d: %v", e.GetIndex(), c)
	g.epoch++
	g.epochs[len(g.epochs)-1] = g.epoch
	for uint64(len(g.byEpoch)) <= g.epoch {
		g.byEpoch = append(g.byEpoch, epochMark{})
	}
	g.byEpoch[g.epoch] = g.epochMark()
}

// configure applies a change of raft's configuration.
func (g *ledger) configure(cc *raftpb.ConfChangeV2) {
	if len(cc.GetChanges()) == 0 {
		g.outgoing = nil
		return
	}
	if len(cc.GetChanges()) > 1 || cc.GetTransition() != raftpb.ConfChangeTransitionAuto {
		g.outgoing = slices.Clone(g.voters)
	}
	for _, ch := range cc.GetChanges() {
		id := ch.GetNodeId()
		i := slices.Index(g.voters, id)
		switch {
		case ch.GetType() == raftpb.ConfChangeAddNode && i < 0:
			g.voters = append(slices.Clone(g.voters), id)
			slices.Sort(g.voters)
		case ch.GetType() != raftpb.ConfChangeAddNode && i >= 0:
			g.voters = slices.Delete(slices.Clone(g.voters), i, i+1)
		}
	}
}

// judge carries out a committed command by the ledger's own rules; it returns
// why the command has no effect.
func (s *Sim) judge(e *raftpb.Entry, c ring.Command) string {
	g := &s.ledger
	switch {
	case c.Join != nil:
		m := c.Join.Member
		for _, o := range g.Members {
			if o.Name == m.Name {
				if o.ID != c.Join.Replaces {
					return "name in use"
				}
				s.judgeEviction(e, o, ring.Evict{ID: o.ID, Incarnation: o.Incarnation, Evidence: ring.Replaced}, false)
				g.remove(o.ID)
				break
			}
		}
		g.highest++
		s.broken(nil, g.join(g.highest, m))
		if node := s.machineNamed(m.Name); node >= 0 {
			s.learnID(g.highest, node)
			s.trigger("joined", s.nodes[node])
		}
	case c.Leave != nil:
		if _, ok := g.Member(c.Leave.ID); !ok {
			return "not a member"
		}
		s.stats.count("ring: left", 1)
		g.remove(c.Leave.ID)
	case c.Evict != nil:
		m, why := g.evictable(*c.Evict)
		if why == "" && !m.Witness && g.heir([]uint64{m.ID}) == 0 {
			why = "the last that may lead"
		}
		if why != "" {
			return why
		}
		if !m.Witness && !slices.ContainsFunc(g.Members, func(o verify.Member) bool { return o.ID != m.ID && !o.Witness }) {
			return "the last member that may lead"
		}
		s.judgeEviction(e, m, *c.Evict, false)
		g.remove(m.ID)
	case c.Declare != nil:
		return s.judgeDeclare(e, *c.Declare)
	case c.Appoint != nil:
		if c.Appoint.To == 0 {
			if g.Designated == 0 {
				return "nobody is appointed"
			}
			g.Designated = 0
			return ""
		}
		if m, ok := g.Member(c.Appoint.To); !ok || m.Witness {
			return "cannot be appointed"
		}
		g.Designated = c.Appoint.To
	case c.Settings != nil:
		if c.Settings.Validate() != nil {
			return "invalid"
		}
		s.stats.count("ring: settings changed", 1)
		g.changed = append(g.changed, settingsMark{mark{e.GetIndex()}, *c.Settings})
		g.setSettings(s.now, *c.Settings)
	case c.Return != nil:
		return s.judgeReturn(e.GetIndex(), *c.Return)
	case c.Forget != nil:
		g.forgotten = append(g.forgotten, forgetMark{mark{e.GetIndex()}, c.Forget.IDs})
		return "no matter of the ring"
	case c.Seal != nil, c.Beside():
		return "no matter of the ring"
	default:
		s.fail("log", "entry %d: a command that the ledger does not know", e.GetIndex())
	}
	return ""
}

func (s *Sim) judgeDeclare(e *raftpb.Entry, d ring.Declare) string {
	g := &s.ledger
	if d.Term != e.GetTerm() {
		return "of another term"
	}
	if d.Term <= g.term {
		return "stale"
	}
	var dead []uint64
	for _, ev := range d.Evict {
		if _, why := g.evictable(ev); why != "" {
			return why
		}
		if ev.ID == d.ID || slices.Contains(dead, ev.ID) {
			return "contradicts itself"
		}
		dead = append(dead, ev.ID)
	}
	if g.heir(dead) != d.ID {
		return "not the heir" // the state must say so too: compared in logApplied
	}
	for _, ev := range d.Evict {
		m, _ := g.Member(ev.ID)
		s.judgeEviction(e, m, ev, true)
		g.remove(m.ID)
	}
	s.broken(nil, g.checker.Declared("log", verify.Process{Name: g.checker.NameOf(d.ID), ID: d.ID, Incarnation: d.Incarnation}, d.Term))
	g.term = d.Term
	g.Declare(d.ID, d.Term)
	g.leaders = append(g.leaders, leaderMark{mark{e.GetIndex()}, d.ID})
	for i := range g.Members {
		if m := &g.Members[i]; m.ID == d.ID {
			s.replaces(m.Incarnation, d.Incarnation, e.GetIndex())
			m.Incarnation = d.Incarnation
			s.recorded(*m)
		}
	}
	s.stats.count("ring: leaders declared", 1)
	s.trigger("declared", s.nodes[s.machineOf(d.ID)])
	return ""
}

func (g *ledger) evictable(e ring.Evict) (verify.Member, string) {
	m, ok := g.Member(e.ID)
	if !ok {
		return m, "not a member"
	}
	if e.Incarnation != 0 && e.Incarnation != m.Incarnation {
		return m, "another incarnation"
	}
	return m, ""
}

func (g *ledger) remove(id uint64) {
	if m, ok := g.Member(id); ok {
		g.gone[id] = m
	}
	g.Remove(id)
}

func (g *ledger) setSettings(at int64, st ring.Settings) {
	g.settings = st
	g.leases = append(g.leases, leaseSince{at, st.Lease()})
}

// settingsAt is when the settings in force were committed.
func (g *ledger) settingsAt() int64 { return g.leases[len(g.leases)-1].at }

// lastTerm is the term of the last committed entry.
func (g *ledger) lastTerm() uint64 {
	if len(g.ents) == 0 {
		return 0
	}
	return g.ents[len(g.ents)-1].GetTerm()
}

// longestLease is the longest lease that was in force at any time after then.
func (g *ledger) longestLease(then int64) time.Duration {
	var d time.Duration
	for i := len(g.leases) - 1; i >= 0; i-- {
		d = max(d, g.leases[i].lease)
		if g.leases[i].at <= then {
			break
		}
	}
	return d
}

// epochMark is what the ring is now.
func (g *ledger) epochMark() epochMark {
	return epochMark{leader: g.Leader, term: g.term, highest: g.highest, members: g.memberPrint(), designated: g.Designated, settings: g.settings}
}

func (g *ledger) memberPrint() uint64 {
	h := newPrint()
	for _, m := range g.Members {
		h.num(m.ID)
		h.num(m.Incarnation)
	}
	return uint64(h)
}

func (g *ledger) membersText() string {
	ids := make([]string, 0, len(g.Members))
	for _, m := range g.Members {
		ids = append(ids, fmt.Sprintf("%d=%s/%x", m.ID, m.Name, m.Incarnation&0xffff))
	}
	return fmt.Sprint(ids)
}

func entryText(e *raftpb.Entry) string {
	if len(e.GetData()) == 0 {
		return fmt.Sprintf("an empty entry of term %d", e.GetTerm())
	}
	if e.GetType() != raftpb.EntryNormal {
		return fmt.Sprintf("%v of term %d (%x)", e.GetType(), e.GetTerm(), e.GetData())
	}
	return fmt.Sprintf("term %d %s", e.GetTerm(), e.GetData())
}
