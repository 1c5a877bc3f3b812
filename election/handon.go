package election

import (
	"slices"
	"time"
)

// A leader whose own disk is stuck goes on by the disks of the others. One thing
// needs its own: raft hands out a change of the configuration once the own disk
// has it, and all that comes after it in the log waits, too. If that holds up a
// leader that has not declared itself, nobody leads meanwhile. So it asks all who
// may lead whether they could, and hands over to the first that is able. If none
// is, it stays: nobody else could win.
//
// A declared leader looks for one, too, if its disk hangs, which is a longer time. It
// then hands over as when an operator asks for it, and keeps its claim until then.

// handOn is what such a leader has tried.
type handOn struct {
	nextAsk, nextTry Instant
	// to is the first that was able, 0 while nobody is; it has until end.
	to  uint64
	end Instant
	// able is the first that was able to take over from a declared leader, 0 while
	// nobody is. passed are those to whom a handover did not come about.
	able   uint64
	passed []uint64
}

// handOnRule hands over while this leader is held up.
func (ct *caretaker) handOnRule() {
	h := &ct.lead.handOn
	switch {
	case ct.heldUp():
	case ct.declared() && ct.hangs():
		if ct.lead.handover == nil {
			ct.askAnyone(ct.ring.Settings.RenewEvery())
		}
		return // see handoverOffHungDisk
	default:
		ct.endHandOn()
		return
	}
	ct.lead.why = "its disk does not finish a write"
	if h.to != 0 && ct.now >= h.end {
		ct.unable = append(ct.unable, h.to)
		ct.endHandOn()
	}
	if h.to == 0 {
		ct.askAnyone(ct.ring.Settings.Stagger())
		return
	}
	ct.wakeAt(h.end)
	// Either message may be lost: both are repeated.
	if !ct.dueEvery(&h.nextTry, max(2*ct.ring.Settings.Stagger(), ct.tickEvery())) {
		return
	}
	if ct.lease.first != 0 { // the voters have promised for the sake of its declaration
		ct.lease.released = true
		ct.releaseVoters(false)
	}
	ct.transfer(h.to)
}

// endHandOn lets this leader go on where it stood before it handed on.
func (ct *caretaker) endHandOn() {
	l := ct.lead
	if l.handOn.to != 0 {
		ct.abortTransfer()
		ct.lease.released, ct.lease.next = false, ct.now
	}
	l.handOn = handOn{}
}

// askAnyone asks all voters that may lead whether they could, every so often.
func (ct *caretaker) askAnyone(every time.Duration) {
	h := &ct.lead.handOn
	if !ct.dueEvery(&h.nextAsk, every) {
		return
	}
	asked := false
	for _, id := range ct.ring.Succession(slices.Concat(ct.unable, h.passed, []uint64{ct.cfg.ID})...) {
		if ct.isVoter(id) {
			asked = true
			ct.send(Message{To: id, Takeover: &Takeover{Term: ct.term}})
		}
	}
	if !asked {
		h.passed = nil // all of them once more
	}
}

// handsOnTo takes the word of a member that is able to lead.
func (ct *caretaker) handsOnTo(id uint64) {
	h := &ct.lead.handOn
	if h.to != 0 || !ct.isVoter(id) || !slices.Contains(ct.ring.Succession(ct.cfg.ID), id) {
		return
	}
	if !ct.heldUp() {
		if h.able == 0 && ct.declared() && ct.hangs() && !slices.Contains(h.passed, id) {
			h.able = id
		}
		return
	}
	ct.trace("hands on to %s, since its own disk does not finish a write", ct.nameOf(id))
	h.to, h.nextTry, h.end = id, ct.now, ct.now.Add(max(ct.ring.Settings.Lease(), 4*ct.ring.Settings.Stagger()))
	ct.triedHeirs = append(ct.triedHeirs, id)
}
