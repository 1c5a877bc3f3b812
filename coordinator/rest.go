package coordinator

import (
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// rest is what turns have led to and nobody waits for.
//
// A member that has told its watchers who leads owes its disk and its log the
// news, and the leader an answer that no longer decides anything. Where many
// members share a processor, as virtual machines do, this would keep the others
// from telling theirs: it takes three times as long as the telling. And the
// leader would read answers while it still has members to tell.
type rest struct {
	effects []election.Effect
	news    []*arcv1.Event
	until   election.Instant
}

// restsFor is how long it waits at most; it is over at once when something
// comes that somebody waits for.
const restsFor = 8 * time.Millisecond

func (r *rest) add(effects []election.Effect, news []*arcv1.Event) {
	r.effects, r.news = append(r.effects, effects...), append(r.news, news...)
}

// ends is when it is over, Never if nothing rests.
func (r *rest) ends() election.Instant {
	if len(r.effects) == 0 && len(r.news) == 0 {
		return election.Never
	}
	return r.until
}

func (r *rest) over(now election.Instant) bool { return now >= r.until }

// patient tells whether nobody waits for the effects: right after a declaration
// all of these follow from what is committed. An append that comes before the
// rest is over, or a vote, waits with it, as if the disk were so much slower.
func patient(effects []election.Effect) bool {
	for _, e := range effects {
		switch e := e.(type) {
		case election.Applied, election.Persist, election.PeersChanged, election.Relink:
		case election.Send:
			if e.Message.Raft.GetType() != raftpb.MsgAppResp {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// endRest carries out, in order, all that has rested.
func (l *loop) endRest() {
	for _, e := range l.rest.effects {
		l.carryOut(e)
	}
	l.tell(l.rest.news)
	clear(l.rest.effects)
	clear(l.rest.news)
	l.rest = rest{effects: l.rest.effects[:0], news: l.rest.news[:0]}
}
