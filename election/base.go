package election

import (
	"fmt"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// parent is what a part may ask of the Node that it belongs to, when something
// happened that concerns all parts.
type parent interface {
	// follow lets what raft says take effect.
	follow(t transition)
	// processReplaced follows up on another process that counts for a member.
	processReplaced(id uint64, lacking bool)
	// changeConf changes raft's configuration.
	changeConf(cc raftpb.ConfChangeI)
	// remove ends the membership, supersede this process's part in it.
	remove(r Removed)
	supersede(s Superseded)
}

// observer is the recorder, to a part that it knows: it is told of facts.
type observer interface {
	// claimPromised and claimVoided: this member promised to a leader, and the promise
	// is void from now on.
	claimPromised(term uint64, until, shown Instant, claims bool)
	claimVoided(term uint64, ended bool)
	// lossNoticed: the newest leadership is lost. lossFreed: this member may help
	// somebody to lead. lossCampaign: it asks for votes.
	lossNoticed()
	lossFreed()
	lossCampaign()
	// claimPossibleWith: the survivor of a pair goes on without the other one.
	claimPossibleWith(without uint64)
	// lossUnexplained: what somebody had against a member was wrong, or is not repeated.
	lossUnexplained(id, by uint64)
}

// base is what every part of a Node has: what it was made of, the time, the committed
// ring, and where effects and wake-ups go.
type base struct {
	cfg Config
	// now is the present time. It is never 0: where an instant is noted, 0 says that it
	// has not come yet.
	now Instant
	// born is when this Node was made, restarted whether the member had been one
	// before.
	born      Instant
	restarted bool
	// removed: the Node does nothing any more.
	removed bool

	// ring is the committed state; it is replaced, never changed, when a
	// command is applied, so that Applied may share it.
	ring *ring.State
	// wanted are those who should vote in the state wantedOf.
	wanted   []uint64
	wantedOf *ring.State

	effects    []Effect
	persistSeq uint64
	// wake is when a Tick is asked for; running is the rule that runs, or the input that
	// is taken in.
	wake    Instant
	running string

	parent   parent
	observer observer
}

func (b *base) emit(e Effect) { b.effects = append(b.effects, e) }

func (b *base) send(m Message) {
	m.From = b.cfg.ID
	b.emit(Send{m})
}

func (b *base) persist(p Persist) uint64 {
	b.persistSeq++
	p.Seq = b.persistSeq
	b.emit(p)
	return p.Seq
}

func (b *base) trace(format string, args ...any) {
	if b.cfg.Trace != nil {
		b.cfg.Trace(b.running, format, args...)
	}
}

// refuse tells of a message that was dropped since it cannot be true.
func (b *base) refuse(from uint64, format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	b.trace("refuses a message from %d: %s", from, why)
	b.emit(Refused{From: from, Why: why})
}

// must ends the process if something has failed that never fails.
func (b *base) must(err error, format string, args ...any) {
	if err != nil {
		b.fail(format+": %v", append(args, err)...)
	}
}

// notice tells a former member that it is one.
func (b *base) notice(id uint64) {
	b.send(Message{To: id, Evicted: &EvictedNotice{RingID: b.ring.RingID, ID: id, Epoch: b.ring.Epoch}})
}

// wantedVoters returns who should vote in the committed ring, ascending. The
// caller must not change it. It is asked for at every step, and takes a look
// through the whole history for each member.
func (b *base) wantedVoters() []uint64 {
	if b.wantedOf != b.ring {
		b.wantedOf, b.wanted = b.ring, b.ring.Voters()
	}
	return b.wanted
}

func (b *base) isMember(id uint64) bool {
	_, ok := b.ring.Member(id)
	return ok
}

// nameOf is the name of a member or of a former one.
func (b *base) nameOf(id uint64) string {
	if name := b.ring.NameOf(id); name != "" {
		return name
	}
	return fmt.Sprintf("member %d", id)
}

func (b *base) namesOf(ids []uint64) []string {
	return ring.Each(ids, b.nameOf)
}

// probeTimeout is how long the leader's own probe waits.
func (b *base) probeTimeout() time.Duration { return b.ring.Settings.OwnProbe() }

// patience is how long a silent leader is respected without a promise.
func (b *base) patience() time.Duration { return b.ring.Settings.Lease() }
