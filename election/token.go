package election

import (
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// A token is the raft term of a leadership. It is above every earlier term that
// this member knows, and at least the Unix time in seconds at which it is
// issued. So tokens rise although all disks were lost, or were restored from an
// older copy together. The wall clock only ever raises a term, and nothing else
// depends on it.
const (
	// MaxTerm is the highest term that can be. A token is shifted by 20 bits for
	// groups, and must then stay below 2^53.
	MaxTerm = ring.TermLimit - 1
	// maxWall is the latest Unix time in seconds that raises a term. A clock
	// that is further ahead is wrong. Half of all terms are left after it.
	maxWall = 1 << 32
)

// wallTerm returns the lowest term that may be issued at a Unix time in
// microseconds.
func wallTerm(at int64) uint64 {
	s := at / int64(time.Second/time.Microsecond)
	if s <= 0 || s > maxWall {
		return 0
	}
	return uint64(s)
}

// leftOut reports whether a vote that raft wants to ask for is of a term that
// liftTerm left out. It takes the mark of a transfer from the others: raft puts
// it on every vote after MsgTimeoutNow, and it would let voters forget a leader
// that they hear.
func (r *replica) leftOut(m *raftpb.Message) bool {
	if m.GetType() != raftpb.MsgVote {
		return false
	}
	if m.GetTerm() == r.plainVotes {
		m.Context = nil
	}
	return m.GetTerm() < r.term
}
