package election

import (
	"slices"
	"time"

	"github.com/arc-ring/arc/election/internal/tracker"
)

// owed is an answer that a member owes the leader.
type owed struct {
	id uint64
	// since is when the oldest question without an answer was asked.
	since Instant
	// asked is when a sign of life was last asked for; inspectAt is when
	// somebody else is asked to probe the member next.
	asked, inspectAt Instant
}

// peer is what this member knows of another one. A record is dropped when its
// member is in the ring no longer and nobody needs it.
type peer struct {
	// heard is when its last message came in.
	heard Instant
	// checked is when it was last asked for a sign of life.
	checked Instant
	// suspect is what is held against it, cert its death certificate; nil if there
	// is none.
	suspect *suspect
	cert    *Certificate
	// denied is until when its silence is not believed, since the leader's own
	// probe reached it.
	denied Instant
	// inspection is the probe of it that the leader asked for; nil if none is under
	// way.
	inspection *inspection
	// votedBy is the newest term in which it voted for this member, 0 for none.
	votedBy uint64
	// answer is what it says of this member's membership, while that is asked; nil
	// if it has not answered.
	answer *Standing

	// holder is the process that was heard and counts, 0 if that is the recorded
	// one.
	holder uint64
	// ended are processes whose words never count again, by incarnation, unless the ring
	// records one of them after all that is not certified dead.
	ended tracker.Table[ending]
	// quiet is until when its votes do not count: its former process may have
	// promised until then, and its present one may not know.
	quiet Instant
	// claim is of a process that speaks for it and does not count; nil if none does.
	claim *claim
	// announced is what its holder said of itself, nil if that is not known.
	announced *Return
	// met is where its holder was met: it answered a question there, or somebody in
	// touch with it said so.
	met meeting
	// relied is the process on whose word something was last done, 0 for none.
	relied uint64
	// told is its word that another process is this member, toldAt when one of its
	// former processes was last told such a thing.
	told   heldWord
	toldAt Instant
}

// lastWord is when the member was last heard. A process that claimed to be it and has
// ended since was the member as well. One that still claims it says nothing for the
// holder.
func (p peer) lastWord() Instant {
	if c := p.claim; c != nil && p.ended.Get(c.incarnation) != nil {
		return max(p.heard, c.heard)
	}
	return p.heard
}

// roster is what this member knows of the others, and since when it is in touch with
// its leader.
type roster struct {
	*replica
	peers tracker.Table[peer]
	// owed are the answers that members owe this leader, the oldest first.
	owed []owed
	// suspicionChanges counts the changes of who is suspect, or certified dead.
	suspicionChanges uint64

	// resumed is when this member last took a step long after it was due: its
	// process was stopped or starved, and the silence until then is its own.
	resumed Instant
	// leaderHeard is when raft's leader was last heard of; touchDoubted since
	// when something speaks against being in touch with it.
	leaderHeard, touchDoubted Instant
	// leaderShown is when the declared leader last answered that it claims.
	leaderShown Instant
}

// hears notes that a member was heard now. It reports whether that one had been silent
// for a lease.
func (r *roster) hears(id uint64) bool {
	p := r.peers.Ensure(id)
	last := p.heard
	p.heard = r.now
	return last != 0 && r.now >= last.Add(r.ring.Settings.Lease())
}

// majorityHeardSince reports whether a majority of the configuration was heard after an
// instant.
func (r *roster) majorityHeardSince(since Instant) bool {
	return r.majority(func(id uint64) bool { return r.heardSince(id, since) })
}

// heardSince reports whether a voter was heard after an instant, or is this member.
func (r *roster) heardSince(id uint64, since Instant) bool {
	heard := r.peers.Value(id).heard
	return id == r.cfg.ID || heard != 0 && heard > since
}

// inTouch reports whether a majority of the configuration was heard of within a
// lease and is not thought dead. A leader that is cut off, or whose voters die,
// changes nothing: what it appends then would be committed by its successor.
func (r *roster) inTouch() bool {
	lately := r.now.Add(-r.ring.Settings.Lease())
	return r.majority(func(id uint64) bool { return r.heardSince(id, lately) && r.thoughtAlive(id) })
}

// bearsAnotherDeath reports whether the configuration keeps its majority if one
// more voter dies.
func (r *roster) bearsAnotherDeath() bool {
	voters := r.conf.GetVoters()
	alive := count(voters, func(id uint64) bool { return !r.ring.Gone(id) && r.thoughtAlive(id) })
	return alive-1 > len(voters)/2
}

// thoughtAlive reports whether nothing speaks against a member, as never against this one.
func (r *roster) thoughtAlive(id uint64) bool { return !r.verdict(id).dead() }

// check asks a member for a sign of life, unless one is awaited.
func (r *roster) check(id uint64) {
	p := r.peers.Ensure(id)
	if p.checked != 0 && p.heard <= p.checked && r.now < p.checked.Add(r.probeTimeout()) {
		return
	}
	p.checked = r.now
	r.send(Message{To: id, Check: &Check{}})
}

// checkedSilent reports whether this member asked a suspect for a sign of life
// and got none for as long as it takes to miss one probe less than a suspicion
// needs.
func (r *roster) checkedSilent(id uint64) bool {
	p := r.peers.Value(id)
	if p.checked == 0 || p.heard > p.checked {
		return false
	}
	interval, misses := r.ring.Settings.Link(true)
	return !r.before(p.checked.Add(interval * time.Duration(max(misses-1, 1))))
}

// missRenewal asks the leader for a sign of life once its renewals are overdue,
// so that the winner has looked for itself by the time that the promises have ended.
func (r *roster) missRenewal() {
	if r.raftLead == 0 || r.raftLead != r.ring.LeaderID {
		return
	}
	due := r.leaderHeard.Add(r.ring.Settings.Lease() * 2 / 3)
	if checked := r.peers.Value(r.raftLead).checked; !r.before(due) && (checked == 0 || checked < due) {
		r.check(r.raftLead)
	}
}

// owe notes that a member was asked something that it has to answer; false if
// it owes an answer already.
func (r *roster) owe(id uint64) bool {
	if !r.leads() || slices.ContainsFunc(r.owed, func(o owed) bool { return o.id == id }) {
		return false
	}
	r.owed = append(r.owed, owed{id: id, since: r.now, asked: r.now})
	return true
}

// answered notes that a member said something.
func (r *roster) answered(id uint64) {
	r.owed = slices.DeleteFunc(r.owed, func(o owed) bool { return o.id == id })
}

// deferInspection notes that the member who was asked reaches the silent one. The
// leader asks again after twice as long as it takes to form an opinion.
func (r *roster) deferInspection(id uint64) {
	for i := range r.owed {
		if o := &r.owed[i]; o.id == id {
			o.inspectAt = r.now.Add(2 * r.ring.Settings.Detection(false))
		}
	}
}

// doubtTouch notes that this member may be cut off: it lost its stream to the
// leader, or its own monitor suspects somebody.
func (r *roster) doubtTouch() {
	if r.touchDoubted <= max(r.leaderHeard, r.leaderShown) {
		r.touchDoubted = r.now
	}
}
