package election

import (
	"cmp"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// defaultCompactAfter is Config.CompactAfter's default.
const defaultCompactAfter = 4096

// Node is one member's part in leading: voter, candidate, caretaker, leader.
// It is not safe for concurrent use.
//
// It consists of parts, each with a state of its own. Of these fields a part knows those
// before it and none after. The leader holds further parts: see leader.
type Node struct {
	*replica   // this member's copy of the log, by raft
	lease      *lease
	promises   *promises
	roster     *roster
	identity   *identity
	verdicts   *verdicts
	campaign   *campaign
	offers     *offers
	recorder   *recorder
	leadership *leadership
	leader     *leader
	membership *membership
	following  *following
	status     *status
	links      *links
	applier    *applier

	// led: this member led when the rules last came to that.
	led bool
	// settled is what the last step led to and is read many times after it.
	settled struct {
		claimTerm             uint64
		claimEnd, leaderUntil Instant
	}
}

// assemble makes the parts of a Node and connects them.
func assemble(cfg Config, s *ring.State, now Instant) *Node {
	b := &base{cfg: cfg, now: max(now, 1), wake: now, ring: s}
	r := &replica{base: b, store: raft.NewMemoryStorage(), configuration: configuration{&raftpb.ConfState{}}}
	n := &Node{replica: r, lease: &lease{base: b, grants: grants{ends: map[grantKey]Instant{}}}, promises: &promises{base: b}, roster: &roster{replica: r, leaderHeard: -Never / 2, leaderShown: -Never / 2}}
	b.parent = n
	proposals := &proposals{replica: r}
	n.identity = &identity{roster: n.roster, lease: n.lease, promises: n.promises, proposals: proposals, returned: -Never / 2}
	n.verdicts = &verdicts{identity: n.identity}
	n.campaign = &campaign{roster: n.roster, promises: n.promises}
	n.offers = &offers{roster: n.roster}
	n.recorder = &recorder{roster: n.roster, campaign: n.campaign, offers: n.offers, promises: n.promises}
	b.observer = n.recorder
	ls := &leadership{roster: n.roster, lease: n.lease, recorder: n.recorder}
	n.leadership = ls
	caretaker := &caretaker{leadership: ls, identity: n.identity, offers: n.offers, proposals: proposals}
	requests := &requests{leadership: ls, caretaker: caretaker, identity: n.identity, proposals: proposals}
	n.leader = &leader{leadership: ls, campaign: n.campaign, caretaker: caretaker, identity: n.identity, offers: n.offers, promises: n.promises, proposals: proposals,
		requests: requests, verdicts: n.verdicts, watch: &watch{leadership: ls, verdicts: n.verdicts}}
	n.membership = &membership{leadership: ls, campaign: n.campaign, identity: n.identity}
	n.following = &following{leadership: ls, promises: n.promises}
	n.status = &status{following: n.following, identity: n.identity, membership: n.membership}
	n.links = &links{identity: n.identity}
	n.applier = &applier{leadership: ls, campaign: n.campaign, identity: n.identity, leader: n.leader, links: n.links, membership: n.membership,
		promises: n.promises, requests: requests}
	return n
}

// New returns a Node that continues from rec at the time now. The error says
// which part of rec contradicts itself.
func New(cfg Config, rec Recovered, now Instant) (*Node, error) {
	if cfg.ID == 0 || cfg.Incarnation == 0 || cfg.Rand == nil || cfg.Wall == nil {
		return nil, fmt.Errorf("election: %w: ID, Incarnation, Rand and Wall are needed", ring.ErrInvalid)
	}
	cfg.CompactAfter = cmp.Or(cfg.CompactAfter, defaultCompactAfter)
	cfg.RaftLogger = cmp.Or[raft.Logger](cfg.RaftLogger, discardLogger{})
	n := assemble(cfg, &ring.State{}, now)
	if err := plausibleRecord(rec); err != nil {
		return nil, err
	}
	if s := rec.Snapshot; s != nil && s.GetMetadata().GetIndex() > 0 {
		n.must(n.store.ApplySnapshot(s), "put a snapshot into the empty memory log")
		if err := n.restore(s); err != nil {
			return nil, err
		}
	}
	if len(rec.Entries) > 0 {
		if first := rec.Entries[0].GetIndex(); first > n.applied+1 {
			return nil, fmt.Errorf("election: %w: the log begins at index %d, the snapshot ends at %d", ring.ErrInvalid, first, n.applied)
		}
		n.must(n.store.Append(rec.Entries), "append to memory log")
	}
	n.identity.restored = n.lastStored()
	n.identity.noteReturns(rec.Entries)
	if rec.HardState != nil {
		if c := rec.HardState.GetCommit(); c > n.lastStored() || c < n.applied {
			return nil, fmt.Errorf("election: %w: commit index %d is outside the log %d to %d", ring.ErrInvalid, c, n.applied, n.lastStored())
		}
		n.must(n.store.SetHardState(rec.HardState), "write to memory log")
	}
	n.startRaft()
	n.born, n.restarted = now, rec.Restarted
	n.promises.bound = min(rec.Bound, ring.LongestLease)
	if rec.Restarted {
		// The promises made before the restart are forgotten, but not over.
		n.promises.waitUntil = now.Add(n.promises.bound)
		n.recorder.lastClaim.possible, n.recorder.lastClaim.newest = n.promises.waitUntil, rec.HardState.GetTerm()
	}
	n.follow(n.refresh())
	if n.ring.RingID != "" {
		if me, ok := n.ring.Member(cfg.ID); ok && unknownTo(cfg.Former, me.Incarnation) {
			n.cfg.Former = nil // it lost some: the own log knows a process that has to be in it
		}
		n.applier.ringChanged() // a Node that has just begun is not out
	}
	n.settle()
	n.stepEnds()
	return n, nil
}

// Effects returns what is to be carried out, in order, and forgets it.
func (n *Node) Effects() []Effect {
	e := n.effects
	n.effects = nil
	return e
}

// NextWake returns when Tick has to be called at the latest; Never if no time
// is awaited.
func (n *Node) NextWake() Instant { return n.wake }

// State returns the committed ring. It is not changed any more; the Node goes
// on with another one.
func (n *Node) State() *ring.State { return n.ring }

// ClaimUntil returns the token and the end of the lease, until which this member
// leads: its declaration is committed. It is 0 if this member is not the declared
// leader. It holds until the next call of any method that takes now.
func (n *Node) ClaimUntil() (term uint64, end Instant) {
	return n.settled.claimTerm, n.settled.claimEnd
}

// LeaderUntil returns until when this member has proof that the declared leader
// leads, as far as is known now; 0 if it has none. Never is returned only by a
// leader that no other voter can depose.
func (n *Node) LeaderUntil() Instant { return n.settled.leaderUntil }

// Status is what an operator may want to see of the Node.
type Status struct {
	// Term is raft's; Role raft's word for the state.
	Term uint64
	Role string
	// Leader is who leads in this term by raft; 0 if nobody is known to. Declared
	// is false while that one is but a caretaker, or was taken out of the ring.
	Leader   uint64
	Declared bool
	// LeaderProven reports whether there is proof now that a declared Leader leads:
	// see Node.LeaderUntil.
	LeaderProven bool
	// Reason is a short sentence on the present state.
	Reason string
	// Lost says why the leader that was declared last is not known to lead; "" while
	// somebody is known to lead, while this member leads by raft, and before the first leader.
	Lost string
	// Missing says whose disks are needed before anybody can lead; "" if nobody's.
	Missing          string
	Voters, Learners []uint64
	// Suspects are members that a suspicion stands against, Dead those that are
	// certified dead. Unheard are voters that this member does not hear although it
	// should, as it should while nobody is known to lead; nil while somebody is.
	Suspects, Dead, Unheard []uint64
	Applied                 uint64
	// Settled is true if no change of the configuration is outstanding as far
	// as is known here: nobody who is gone is counted or waited for, and a pair
	// is sealed.
	Settled bool
	// Needed are former members whose log or answers may still be needed,
	// ascending: they must not be told that they are out.
	Needed []uint64
	// DiskHangs is true while a write of this member has taken a lease or longer.
	DiskHangs bool
	Tolerance Tolerance
}

// Status returns the present state.
func (n *Node) Status(now Instant) Status {
	s := Status{Term: n.term, Role: n.role.String(), Leader: n.raftLead, Declared: n.leaderDeclaredInTerm(), LeaderProven: now < n.following.leaderUntil(),
		Applied: n.applied, Voters: slices.Clone(n.conf.GetVoters()), Learners: slices.Clone(n.conf.GetLearners())}
	s.Suspects = only(n.roster.peers.IDs(), func(id uint64) bool { return n.roster.peers.Get(id).suspect != nil })
	s.Dead = only(n.roster.peers.IDs(), func(id uint64) bool { return n.roster.verdict(id).certified() })
	s.Unheard = n.status.unheard(now)
	s.Settled = n.dropped == 0 && n.gone.Len() == 0 && len(n.conf.GetVotersOutgoing()) == 0 &&
		!slices.ContainsFunc(n.conf.GetVoters(), n.ring.Gone) && (len(n.conf.GetVoters()) != 2 || len(n.sealed) == 2)
	counted := slices.Concat([]uint64{n.dropped}, n.conf.GetVotersOutgoing(), s.Voters, s.Learners)
	s.Needed = append(n.gone.IDs(), only(counted, n.ring.Gone)...)
	slices.Sort(s.Needed)
	s.Needed = slices.Compact(s.Needed)
	s.DiskHangs = n.hangsAt(now)
	s.Tolerance = n.status.tolerance(now)
	s.Missing = n.Missing(now)
	s.Reason = n.status.reason(now, s.Tolerance.needs(), s.Missing)
	s.Lost = n.status.lostLeader(now)
	return s
}

// and continues a sentence, if there is more to say.
func and(more string) string {
	if more == "" {
		return ""
	}
	return "; " + more
}

// Standing answers another member's question whether it still is one.
func (n *Node) Standing(now Instant, id uint64) Standing {
	asker, member := n.ring.Member(id)
	s := Standing{
		RingID: n.ring.RingID, From: n.cfg.ID, Epoch: n.ring.Epoch, Member: member, Voters: slices.Clone(n.conf.GetVoters()),
		Incarnation: asker.Incarnation, Addresses: slices.Clone(asker.Addresses),
	}
	if n.removed {
		return s
	}
	s.Out = n.ring.Gone(id)
	s.Needed = s.Out && n.needed(id)
	s.InTouch = n.leadership.claim(now) != 0 || !n.leads() && n.raftLead != 0 && n.raftLead == n.ring.LeaderID && n.raftLead != id && now < n.roster.leaderHeard.Add(n.ring.Settings.Lease())
	if l, ok := n.ring.Leader(); ok && s.InTouch {
		s.Leader, s.LeaderIncarnation, s.LeaderAddresses = l.ID, l.Incarnation, slices.Clone(l.Addresses)
	} else if me, ok := n.ring.Member(n.cfg.ID); ok && me.Incarnation == n.cfg.Incarnation {
		s.Leader, s.LeaderIncarnation, s.LeaderAddresses = me.ID, me.Incarnation, slices.Clone(me.Addresses)
	}
	return s
}

func (n *Node) changeConf(cc raftpb.ConfChangeI) {
	voted := n.isVoter(n.cfg.ID)
	n.enact(cc)
	if n.ring.RingID != "" {
		if !voted && n.isVoter(n.cfg.ID) {
			n.identity.forgetOpinions()
		}
		n.links.peersChanged()
	}
	n.follow(n.refresh())
}

// processReplaced follows up on another process that counts for a member from now on. If raft
// would never send it what it lacks (lacking), this member gives its leadership up.
func (n *Node) processReplaced(id uint64, lacking bool) {
	if n.isVoter(id) {
		n.campaign.startOver()
	}
	n.links.peersChanged()
	if lacking {
		n.leader.giveUp()
	}
}

// follow lets what raft says take effect: a leadership ends, or begins.
func (n *Node) follow(t transition) {
	if t.deposed || t.elected {
		n.leader.stepDown()
	}
	if t.elected {
		n.leader.elected()
	} else if n.leads() {
		n.leadership.lead.noteCommit(n.commit, n.now)
	}
}

// heldVotesRule lets held votes through once this voter is free.
func (n *Node) heldVotesRule() {
	v := n.promises
	if !n.promises.free() {
		if !n.leads() {
			n.wakeAt(max(v.promise.until, v.waitUntil))
		}
		return
	}
	held := v.held
	v.held = nil
	for _, h := range held {
		if n.identity.holder(n.memberOrGone(h.m.GetFrom())) == h.by {
			n.receiveRaft(h.m.GetFrom(), h.m)
		}
	}
}

// certify takes a death certificate.
func (n *Node) certify(c Certificate) {
	if n.verdicts.certified(c) && !n.campaign.enoughLive() {
		n.campaign.startOver() // in a pair this member may go on alone now
	}
}
