package election

// peer is what this member knows of another one. A record is dropped when its
// member is in the ring no longer and nobody needs it.
type peer struct {
	// heard is when its last message came in.
	heard mark
	// checked is when it was last asked for a sign of life.
	checked mark
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
	// ended are processes whose words never count again, unless the ring records
	// one of them after all that is not certified dead.
	ended []ending
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
	toldAt mark
}

// mark is an instant that may not have come yet.
type mark struct {
	at  Instant
	set bool
}

func markAt(at Instant) mark { return mark{at, true} }

// dead returns the ids of those who are certified dead, and then of those who are
// suspected.
func (n *Node) dead(suspected func(id uint64, s *suspect) bool) []uint64 {
	ids := make([]uint64, 0, 4)
	for id, p := range n.peers.All() {
		if p.cert != nil {
			ids = append(ids, id)
		}
	}
	for id, p := range n.peers.All() {
		if p.suspect != nil && suspected(id, p.suspect) {
			ids = append(ids, id)
		}
	}
	return ids
}

// anySuspect reports whether anybody is suspected.
func (n *Node) anySuspect() bool {
	for _, p := range n.peers.All() {
		if p.suspect != nil {
			return true
		}
	}
	return false
}

// anythingAgainst reports whether anybody is suspected or certified dead.
func (n *Node) anythingAgainst() bool {
	for _, p := range n.peers.All() {
		if p.suspect != nil || p.cert != nil {
			return true
		}
	}
	return false
}

// forgetPeers drops what is known of those who are neither members nor needed, but
// for what somebody waits for. It drops what was held against processes that are no
// longer the member's.
func (n *Node) forgetPeers() {
	for _, id := range n.peers.IDs() {
		n.forgetStale(id)
		if _, ok := n.ring.Member(id); ok || n.needed(id) {
			continue
		}
		p := n.peers.Get(id)
		*p = peer{answer: p.answer, inspection: p.inspection}
		if p.answer == nil && p.inspection == nil {
			n.peers.Delete(id)
		}
	}
}
