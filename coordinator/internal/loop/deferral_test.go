package loop

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/testwait"
	"github.com/arc-ring/arc/internal/wal"
	"github.com/arc-ring/arc/ring"
)

// The loop carries deferred effects out when their time has come, or with the
// first one that somebody waits for.
func TestDeferredEffectsAreCarriedOutInTime(t *testing.T) {
	answer := election.Send{Message: election.Message{To: 2, Raft: &raftpb.Message{Type: raftpb.MsgAppResp.Enum()}}}
	renewed := election.Send{Message: election.Message{To: 2, RenewAck: &election.RenewAck{}}}
	persist := election.Persist{Seq: 1}
	declared := func(c *fakeCore, term, id uint64) {
		s := *c.state
		s.Term, s.LeaderID = term, id
		c.state, c.term = &s, id
	}
	for name, tt := range map[string]struct {
		leader uint64
		turns  [][]election.Effect
		want   []string
	}{
		"until nobody tells any more":      {2, [][]election.Effect{{persist, answer}}, []string{"answer at 8ms", "persist at 8ms"}},
		"which takes what waits with it":   {2, [][]election.Effect{{persist}, {renewed}}, []string{"persist at 1ms", "renewed at 1ms"}},
		"the leader itself defers nothing": {1, [][]election.Effect{{persist, answer}}, []string{"answer at 0s", "persist at 0s"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &fakeCore{state: &ring.State{RingID: "r", Term: 1, Members: []ring.Member{{ID: 1, Name: "n1"}, {ID: 2, Name: "n2"}}}}
				began := time.Now()
				var mu sync.Mutex
				var got []string
				done := func(what string) {
					mu.Lock()
					defer mu.Unlock()
					got = append(got, fmt.Sprint(what, " at ", time.Since(began)))
				}
				l := testLoop(c, saved(func() { done("persist") }))
				onEffect(l, func(m election.Send) {
					if m.Message.RenewAck != nil {
						done("renewed")
					} else {
						done("answer")
					}
				})
				l.Begin()
				go func() { _ = l.Run() }()
				synctest.Wait()
				for i, effects := range tt.turns {
					_ = l.inbox.post(func(election.Instant) {
						if i == 0 {
							declared(c, uint64(2+i), tt.leader)
						}
						c.emit(effects...)
					})
					synctest.Wait()
					testwait.Virtual(time.Millisecond)
				}
				testwait.Virtual(time.Second)
				l.Stop()
				<-l.life.Done()
				slices.Sort(got)
				if !slices.Equal(got, tt.want) {
					t.Errorf("%q, want %q", got, tt.want)
				}
			})
		})
	}
}

// saved is a disk that takes everything.
type saved func()

func (s saved) Save(wal.Batch) error { s(); return nil }
func (s saved) Mark() error          { return nil }
