package election

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election/internal/tracker"
	"github.com/arc-ring/arc/ring"
)

// defaultCompactAfter is Config.CompactAfter's default.
const defaultCompactAfter = 4096

// Node is one member's part in leading: voter, candidate, caretaker, leader.
// It is not safe for concurrent use.
type Node struct {
	cfg   Config
	now   Instant
	rn    *raft.RawNode
	store *raft.MemoryStorage

	// ring is the committed state; it is replaced, never changed, when a
	// command is applied, so that Applied may share it.
	ring         *ring.State
	conf         *raftpb.ConfState
	applied      uint64
	snapped      uint64
	changingConf bool // while raft applies a configuration change
	trial        trial

	effects []Effect
	// stepping is true while a step changes the Node, settled what the last one led to.
	stepping bool
	settled  settled
	// writes are raft's writes under way, oldest first.
	writes     []*write
	persistSeq uint64
	commands   commands

	// What raft says, refreshed after each of its steps.
	role     raft.StateType
	term     uint64
	raftLead uint64
	// transferee is to whom raft transfers its leadership; it takes no
	// proposals meanwhile.
	transferee uint64
	commit     uint64
	// lifting is true while liftTerm works, forced while raft campaigns at
	// somebody's word. plainVotes is the newest term of votes that liftTerm began
	// and nobody asked for.
	lifting, forced bool
	plainVotes      uint64

	voter    voter
	campaign campaign
	loss     loss
	lead     *leading // nil unless raft's leader

	// resumed is when this member last took a step long after it was due: its
	// process was stopped or starved, and the silence until then is its own.
	resumed Instant
	// peers is what is known of each other member.
	peers tracker.Table[peer]
	// leaderHeard is when raft's leader was last heard of; touchDoubted since
	// when something speaks against being in touch with it.
	leaderHeard, touchDoubted Instant
	// leaderShown is when the declared leader last answered that it claims.
	leaderShown Instant
	// suspected counts the changes of who is suspect.
	suspected uint64
	// identity is whose words count.
	identity identity
	grants   grants
	// told is what this member last told others of a suspicion, at toldAt.
	told   Suspicion
	toldAt Instant
	// unwatched: the own monitor does not run. The leader was last told so at
	// unwatchedTold.
	unwatched     bool
	unwatchedTold Instant

	// dropped is the dead half of a pair that the survivor took out of raft's
	// configuration ahead of the log; 0 if none.
	dropped uint64
	// gaveUpAt is when this member last gave a leadership up for want of a lease.
	gaveUpAt Instant
	// stalls is how often this member gave a leadership up since somebody last led,
	// as it could commit nothing.
	stalls int
	// offer is the newest question whether this member could lead.
	offer offer
	// triedHeirs were told by this caretaker to take over, unable are those
	// that did not lead then, or could not. Both are empty once a leader is
	// declared.
	triedHeirs, unable []uint64
	// handedOver is a request of this node that its successor completes.
	handedOver *handoverWait

	// gone are former members whose answers or logs may still be needed:
	// raft's configuration counts them, or it is not sealed that it does not.
	gone tracker.Table[ring.Member]
	// sealed are the voters of the newest sealed configuration.
	sealed []uint64
	// leavingSince is when this member was taken out of the ring; it goes on
	// answering until raft counts on it no longer. 0 while it is a member.
	leavingSince Instant
	leavingWhy   string
	leavingVoter bool

	claiming bool
	// claimEnd is when the claim of claimTerm ends, as of the last step; unanswered
	// that the last one of ownTerm ended since no majority answered.
	claimEnd   Instant
	claimTerm  uint64
	unanswered bool
	ownTerm    uint64
	// lastClaim is what this member has seen of it, toldClaim what votes told.
	lastClaim, toldClaim lastClaim
	// wished is in which term this member asked for votes last, and since when.
	wished struct {
		term uint64
		at   Instant
	}
	// wonTerm is the newest term that this process was elected in, 0 for none.
	wonTerm uint64
	// born is when this Node was made, restarted whether the member had been one
	// before.
	born      Instant
	restarted bool
	linked    *Relink // the newest; nil before the first
	wanted    struct {
		of     *ring.State
		voters []uint64
	}
	returned Instant // when the leader was last told of this incarnation
	inquiry  inquiry
	removed  bool
	wake     Instant
}

// settled is what is read many times after each step, and holds until the next
// one begins.
type settled struct {
	claimTerm             uint64
	claimEnd, leaderUntil Instant
}

type handoverWait struct {
	ref, to  uint64
	deadline Instant
}

// New returns a Node that continues from rec at the time now. The error says
// which part of rec contradicts itself.
func New(cfg Config, rec Recovered, now Instant) (*Node, error) {
	if cfg.ID == 0 || cfg.Incarnation == 0 || cfg.Rand == nil || cfg.Wall == nil {
		return nil, fmt.Errorf("election: %w: ID, Incarnation, Rand and Wall are needed", ring.ErrInvalid)
	}
	if cfg.CompactAfter == 0 {
		cfg.CompactAfter = defaultCompactAfter
	}
	if cfg.RaftLogger == nil {
		cfg.RaftLogger = discardLogger{}
	}
	n := &Node{
		cfg: cfg, now: now, store: raft.NewMemoryStorage(), ring: &ring.State{}, conf: &raftpb.ConfState{},
		leaderHeard: -Never / 2, leaderShown: -Never / 2, returned: -Never / 2, wake: now,
	}
	if err := plausibleRecord(rec); err != nil {
		return nil, err
	}
	if s := rec.Snapshot; s != nil && s.GetMetadata().GetIndex() > 0 {
		if err := n.store.ApplySnapshot(s); err != nil {
			return nil, fmt.Errorf("restore snapshot at index %d: %w", s.GetMetadata().GetIndex(), err)
		}
		if err := n.restore(s); err != nil {
			return nil, err
		}
	}
	if len(rec.Entries) > 0 {
		if first := rec.Entries[0].GetIndex(); first > n.applied+1 {
			return nil, fmt.Errorf("election: %w: the log begins at index %d, the snapshot ends at %d", ring.ErrInvalid, first, n.applied)
		}
		if err := n.store.Append(rec.Entries); err != nil {
			return nil, fmt.Errorf("restore log: %w", err)
		}
	}
	n.identity.restored, _ = n.store.LastIndex()
	n.noteReturns(rec.Entries)
	if rec.HardState != nil {
		last, _ := n.store.LastIndex()
		if c := rec.HardState.GetCommit(); c > last || c < n.applied {
			return nil, fmt.Errorf("election: %w: commit index %d is outside the log %d to %d", ring.ErrInvalid, c, n.applied, last)
		}
		if err := n.store.SetHardState(rec.HardState); err != nil {
			return nil, fmt.Errorf("restore hard state: %w", err)
		}
	}
	rn, err := raft.NewRawNode(&raft.Config{
		ID: cfg.ID, ElectionTick: electionTicks, HeartbeatTick: 1, Storage: memoryLog{n.store, n}, Applied: n.applied,
		MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, CheckQuorum: true, PreVote: true,
		DisableProposalForwarding: true, StepDownOnRemoval: true, AsyncStorageWrites: true, Logger: cfg.RaftLogger,
	})
	if err != nil {
		return nil, fmt.Errorf("start raft: %w", err)
	}
	n.rn = rn
	n.born, n.restarted = now, rec.Restarted
	n.voter.bound = min(rec.Bound, ring.LongestLease)
	if rec.Restarted {
		// The promises made before the restart are forgotten, but not over.
		n.voter.waitUntil = now.Add(n.voter.bound)
		n.lastClaim.possible, n.lastClaim.newest = n.voter.waitUntil, rec.HardState.GetTerm()
	}
	n.stepping = true
	n.refresh()
	if n.ring.RingID != "" {
		n.checkFormer()
		n.checkRecorded()
		n.ringChanged()
	}
	n.settle()
	n.stepEnds()
	return n, nil
}

// wantedVoters returns who should vote in the committed ring, ascending. The
// caller must not change it. It is asked for at every step, and takes a look
// through the whole history for each member.
func (n *Node) wantedVoters() []uint64 {
	if n.wanted.of != n.ring {
		n.wanted.of, n.wanted.voters = n.ring, n.ring.Voters()
	}
	return n.wanted.voters
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

// peersChanged says who the peers are now.
func (n *Node) peersChanged() {
	peers := make([]Peer, 0, len(n.ring.Members)+n.gone.Len())
	near := append(slices.Clone(n.wantedVoters()), n.ring.LeaderID, n.raftLead)
	near = append(append(near, n.conf.GetVoters()...), n.conf.GetVotersOutgoing()...)
	voter := slices.Contains(near, n.cfg.ID)
	for _, m := range n.ring.Members {
		if m.ID != n.cfg.ID {
			m.Incarnation = n.holder(m)
			peers = append(peers, Peer{Member: m, Distant: !voter && !slices.Contains(near, m.ID)})
		}
	}
	for _, m := range n.gone.All() {
		peers = append(peers, Peer{Member: *m})
	}
	// After a snapshot nothing but the id may be known of a former member.
	for _, id := range n.conf.GetVoters() {
		if n.gone.Get(id) == nil && n.ring.Gone(id) && id != n.cfg.ID {
			peers = append(peers, Peer{Member: ring.Member{ID: id}})
		}
	}
	slices.SortFunc(peers, func(a, b Peer) int { return cmp.Compare(a.ID, b.ID) })
	for i := range peers {
		peers[i].Retired = n.ring.Gone(peers[i].ID)
	}
	n.emit(PeersChanged{peers})
}

// Claim tells whether this member leads at now: its declaration is committed
// and its lease has not run out. left is what remains of the lease.
func (n *Node) Claim(now Instant) (term uint64, left time.Duration, ok bool) {
	term, end := n.ClaimUntil()
	if term == 0 || now >= end {
		return 0, 0, false
	}
	if end == Never {
		return term, n.ring.Settings.Lease(), true
	}
	return term, end.Sub(now), true
}

// ClaimUntil returns the token and the end of the lease, for owners that let
// others read the claim at the moment of asking; 0 if this member is not the
// declared leader. It holds until the next call of any method that takes now.
func (n *Node) ClaimUntil() (term uint64, end Instant) {
	if !n.stepping && !n.removed {
		return n.settled.claimTerm, n.settled.claimEnd
	}
	return n.claimUntil()
}

func (n *Node) claimUntil() (term uint64, end Instant) {
	if n.lead == nil || n.removed || !n.declared() || n.lead.released {
		return 0, 0
	}
	return n.ring.Term, n.leaseEnd()
}

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
	// Missing says whose disks are needed before anybody can lead; "" if nobody's.
	Missing          string
	Voters, Learners []uint64
	Suspects         []uint64
	LeaseEnd         Instant
	Applied          uint64
	// Settled is true if no change of the configuration is outstanding as far
	// as is known here: nobody who is gone is counted or waited for, and a pair
	// is sealed.
	Settled bool
	// Needed are former members whose log or answers may still be needed,
	// ascending: they must not be told that they are out.
	Needed    []uint64
	Tolerance Tolerance
}

// Status returns the present state.
func (n *Node) Status(now Instant) Status {
	s := Status{Term: n.term, Role: n.role.String(), Leader: n.raftLead, Applied: n.applied,
		Voters: slices.Clone(n.conf.GetVoters()), Learners: slices.Clone(n.conf.GetLearners())}
	s.Declared = n.leaderDeclaredInTerm()
	s.LeaderProven = now < n.LeaderUntil()
	for id, p := range n.peers.All() {
		if p.suspect != nil {
			s.Suspects = append(s.Suspects, id)
		}
	}
	if _, end := n.ClaimUntil(); end != 0 {
		s.LeaseEnd = end
	}
	s.Settled = n.dropped == 0 && n.gone.Len() == 0 && len(n.conf.GetVotersOutgoing()) == 0 &&
		!slices.ContainsFunc(n.conf.GetVoters(), n.ring.Gone) && (len(n.conf.GetVoters()) != 2 || len(n.sealed) == 2)
	for id := range n.gone.All() {
		s.Needed = append(s.Needed, id)
	}
	for _, id := range append(append([]uint64{n.dropped}, n.conf.GetVotersOutgoing()...), append(s.Voters, s.Learners...)...) {
		if n.ring.Gone(id) && !slices.Contains(s.Needed, id) {
			s.Needed = append(s.Needed, id)
		}
	}
	slices.Sort(s.Needed)
	s.Tolerance = n.tolerance(now)
	s.Missing = n.Missing(now)
	s.Reason = n.reason(now, s.Tolerance.needs(), s.Missing)
	return s
}

// reason says what this member does. It takes what Tolerance needs, and Missing.
func (n *Node) reason(now Instant, needs, missing string) string {
	switch {
	case n.removed:
		return "no member of the ring any more"
	case n.lead != nil && n.declared():
		if _, _, ok := n.Claim(now); ok {
			return fmt.Sprintf("this node leads, token %d", n.ring.Term)
		}
		if n.lead.released {
			return fmt.Sprintf("this node gave its claim up to hand over, token %d", n.ring.Term)
		}
		return fmt.Sprintf("this node is declared with token %d, but does not claim: %s", n.ring.Term, cmp.Or(missing, needs, "too few voters answer"))
	case n.lead != nil:
		return fmt.Sprintf("this node is caretaker in term %d: %s", n.term, cmp.Or(n.lead.why, "it has just won the vote"))
	case now >= n.voter.waitUntil && missing != "":
		return "no leader known: " + missing
	case n.leaderDeclaredInTerm() && now < n.LeaderUntil():
		return fmt.Sprintf("%s leads, token %d", n.nameOf(n.raftLead), n.ring.Term)
	case n.leaderDeclaredInTerm():
		return fmt.Sprintf("no proof that %s leads: %s%s", n.nameOf(n.raftLead), n.unproven(), and(needs))
	case n.raftLead != 0:
		return fmt.Sprintf("%s is caretaker in term %d%s", n.nameOf(n.raftLead), n.term, and(needs))
	case now < n.voter.waitUntil:
		return fmt.Sprintf("restarted: takes part in elections in %v%s", n.voter.waitUntil.Sub(now).Round(time.Millisecond), and(needs))
	case n.ring.RingID == "":
		return "no leader known: this node was let in, and waits for the ring's log"
	default:
		return fmt.Sprintf("no leader known: %s", cmp.Or(needs, n.majorityText()))
	}
}

// and continues a sentence, if there is more to say.
func and(more string) string {
	if more == "" {
		return ""
	}
	return "; " + more
}

// declared tells whether this raft leader's declaration is committed.
func (n *Node) declared() bool {
	return n.ring.Term == n.term && n.ring.LeaderID == n.cfg.ID
}

func (n *Node) emit(e Effect) { n.effects = append(n.effects, e) }

func (n *Node) send(m Message) {
	m.From = n.cfg.ID
	n.emit(Send{m})
}

func (n *Node) trace(format string, args ...any) {
	if n.cfg.Trace != nil {
		n.cfg.Trace(format, args...)
	}
}

// wakeAt asks for a Tick at t.
func (n *Node) wakeAt(t Instant) { n.wake = min(n.wake, t) }

// voters returns the ids of both halves of the configuration but this one's,
// ascending.
func (n *Node) otherVoters() []uint64 {
	ids := slices.Clone(n.conf.GetVoters())
	for _, id := range n.conf.GetVotersOutgoing() {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	ids = slices.DeleteFunc(ids, func(id uint64) bool { return id == n.cfg.ID })
	slices.Sort(ids)
	return ids
}

// inConf tells whether raft's configuration counts a member, as voter or
// learner.
func (n *Node) inConf(id uint64) bool {
	return n.isVoter(id) || slices.Contains(n.conf.GetLearners(), id) || slices.Contains(n.conf.GetLearnersNext(), id)
}

func (n *Node) isVoter(id uint64) bool {
	return slices.Contains(n.conf.GetVoters(), id) || slices.Contains(n.conf.GetVotersOutgoing(), id)
}

// discardLogger drops raft's talk; its Panic still panics.
type discardLogger struct{}

func (discardLogger) Debug(...any)            {}
func (discardLogger) Debugf(string, ...any)   {}
func (discardLogger) Error(...any)            {}
func (discardLogger) Errorf(string, ...any)   {}
func (discardLogger) Info(...any)             {}
func (discardLogger) Infof(string, ...any)    {}
func (discardLogger) Warning(...any)          {}
func (discardLogger) Warningf(string, ...any) {}
func (discardLogger) Fatal(v ...any)          { panic(fmt.Sprint(v...)) }
func (discardLogger) Fatalf(f string, v ...any) {
	panic(fmt.Sprintf(f, v...))
}
func (discardLogger) Panic(v ...any) { panic(fmt.Sprint(v...)) }
func (discardLogger) Panicf(f string, v ...any) {
	panic(fmt.Sprintf(f, v...))
}
