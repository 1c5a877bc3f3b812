package election

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// Config is what a Node is made of.
type Config struct {
	// ID was allocated by the leader at the join; a founder's is 1.
	ID uint64
	// Incarnation is drawn at the start of the process. Of two of the same
	// member the larger is taken for the newer.
	Incarnation uint64
	// Addresses are where the member is reached; none if that is not known yet.
	// Readdress changes them.
	Addresses []string
	// Version is what this process runs, for status.
	Version string
	// LogVersion is the newest log version that this process reads.
	LogVersion uint32
	// Former are the newest incarnations of earlier processes on the same data
	// directory. If they reach back to the one that the ring has recorded, and it
	// is not among them, the directory is an older copy. Empty: not known.
	Former []uint64
	// Rand returns 64 random bits; it is called only from within the Node's
	// methods.
	Rand func() uint64
	// Wall returns the wall clock, Unix microseconds. It dates the history and
	// raises tokens (see token.go). Nothing else depends on it.
	Wall func() int64
	// Unborn: this member joined a ring that had no leader yet.
	Unborn bool
	// RaftLogger may be nil.
	RaftLogger raft.Logger
	// Trace, if not nil, is told every decision as a short sentence, and the rule or the
	// input that it comes from.
	Trace func(rule, format string, args ...any)
	// CompactAfter is how many applied entries are kept before the log is cut
	// behind a snapshot; 0 means 4096.
	CompactAfter uint64
}

// FormerKept bounds Config.Former.
const FormerKept = 64

// Recovered is what the storage gave back, or what Found made. The zero value
// is that of a joiner.
type Recovered struct {
	HardState *raftpb.HardState
	Snapshot  *raftpb.Snapshot
	Entries   []*raftpb.Entry
	Bound     time.Duration
	// Restarted is true if this member may have made promises before.
	Restarted bool
}

// Found returns the storage content of a new ring for its founder, under id 1.
// Those who accepted it vote from the start, as far as there is room: they
// begin with nothing, and the founder is elected when a majority of them is
// there. The first leadership's term is that of the wall clock, at in Unix
// microseconds, so that tokens rise even over a lost disk.
func Found(f ring.Found, at int64) (Recovered, error) {
	s := &ring.State{}
	if _, err := s.Apply(0, ring.Command{Found: &f}); err != nil {
		return Recovered{}, err
	}
	term := max(wallTerm(at), 2) - 1
	conf := &raftpb.ConfState{Voters: s.Voters()}
	for _, m := range s.Members {
		if !slices.Contains(conf.Voters, m.ID) {
			conf.Learners = append(conf.Learners, m.ID)
		}
	}
	return beginWith(s, conf, s.Epoch, term), nil
}

// beginWith returns the storage content of a member that begins with a state, as if it
// had been committed at index in term.
func beginWith(s *ring.State, conf *raftpb.ConfState, index, term uint64) Recovered {
	return Recovered{
		HardState: &raftpb.HardState{Term: new(term), Vote: new(uint64(0)), Commit: new(index)},
		Snapshot: &raftpb.Snapshot{
			Data:     s.Snapshot(),
			Metadata: &raftpb.SnapshotMetadata{Index: new(index), Term: new(term), ConfState: conf},
		},
	}
}
