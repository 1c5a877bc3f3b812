package election

import "slices"

// A leader whose own disk is stuck goes on by the disks of the others. One thing
// needs its own: raft hands out a change of the configuration once the own disk
// has it, and all that comes after it in the log waits, too. If that holds up a
// leader that has not declared itself, nobody leads meanwhile. So it asks all who
// may lead whether they could, and hands over to the first that is able. If none
// is, it stays: nobody else could win.

// handOn is what such a leader has tried.
type handOn struct {
	nextAsk, nextTry Instant
	// to is the first that was able, 0 while nobody is; it has until end.
	to  uint64
	end Instant
}

// heldUp reports whether this leader cannot declare itself before its own disk
// has finished a write that takes long.
func (n *Node) heldUp() bool {
	if n.declared() || n.applied >= n.commit || !n.writing() {
		return false
	}
	if !n.stuck() {
		n.wakeAt(n.stuckAt())
		return false
	}
	return true
}

// handOnRule hands over while this leader is held up. It reports whether it is.
func (n *Node) handOnRule() bool {
	l := n.lead
	h := &l.handOn
	if !n.heldUp() {
		n.endHandOn()
		return false
	}
	l.why = "its disk does not finish a write"
	if h.to == 0 {
		n.askAnyone()
		return true
	}
	if n.now >= h.end {
		n.unable = append(n.unable, h.to)
		n.endHandOn()
		n.askAnyone()
		return true
	}
	n.wakeAt(h.end)
	if n.now < h.nextTry {
		n.wakeAt(h.nextTry)
		return true
	}
	// Either message may be lost: both are repeated.
	h.nextTry = n.now.Add(max(2*n.ring.Settings.Stagger(), n.tickEvery()))
	n.wakeAt(h.nextTry)
	if l.renewals.first != 0 { // the voters have promised for the sake of its declaration
		l.released = true
		l.voidPromises()
		for _, id := range n.otherVoters() {
			n.send(Message{To: id, Release: n.release(false)})
		}
	}
	n.transfer(h.to)
	return true
}

// endHandOn lets this leader go on where it stood before it handed on.
func (n *Node) endHandOn() {
	l := n.lead
	if l.handOn.to != 0 {
		n.abortTransfer()
		l.released, l.renewals.next = false, n.now
	}
	l.handOn = handOn{}
}

// askAnyone asks all voters that may lead whether they could.
func (n *Node) askAnyone() {
	h := &n.lead.handOn
	if n.now >= h.nextAsk {
		h.nextAsk = n.now.Add(n.ring.Settings.Stagger())
		for _, id := range n.ring.Succession(append(slices.Clone(n.unable), n.cfg.ID)...) {
			if n.isVoter(id) {
				n.send(Message{To: id, Takeover: &Takeover{Term: n.term}})
			}
		}
	}
	n.wakeAt(h.nextAsk)
}

// handsOnTo takes the word of a member that is able to lead.
func (n *Node) handsOnTo(id uint64) {
	h := &n.lead.handOn
	if h.to != 0 || !n.heldUp() || !n.isVoter(id) || !slices.Contains(n.ring.Succession(n.cfg.ID), id) {
		return
	}
	n.trace("hands on to %s, since its own disk does not finish a write", n.nameOf(id))
	h.to, h.nextTry, h.end = id, n.now, n.now.Add(max(n.ring.Settings.Lease(), 4*n.ring.Settings.Stagger()))
	if !slices.Contains(n.triedHeirs, id) {
		n.triedHeirs = append(n.triedHeirs, id)
	}
}
