package election

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// promisesOf is the word of voter 2 in a ring of four, at 10 s. It knows no raft.
func promisesOf(t *testing.T) *promises {
	t.Helper()
	b := &base{cfg: Config{ID: 2}, ring: fourMembers(t), now: Instant(10 * time.Second)}
	v := &promises{base: b, bound: b.ring.Settings.Lease()}
	b.observer = &recorder{roster: &roster{replica: &replica{base: b}}, promises: v}
	return v
}

// A voter may help somebody to lead when its promise is over. Each case is a story that
// begins with a promise to member 1 in term 5, and says for how long the voter is bound
// from the story's end on.
func TestUntilWhenAVoterIsBound(t *testing.T) {
	const ms = time.Millisecond
	renew := func(v *promises, seq uint64) bool {
		return v.takeRenewal(1, Renew{Term: 5, Seq: seq, Incarnation: 5, Lease: v.ring.Settings.Lease()})
	}
	lease := fourMembers(t).Settings.Lease()
	key := ring.Opinion{ID: 1, Incarnation: 5, Term: 5, By: 4, Word: ring.GrantExpired{Grant: 9}}
	for name, tt := range map[string]struct {
		story func(*promises)
		want  time.Duration
	}{
		"a renewal":                   {func(*promises) {}, lease},
		"time passes":                 {func(v *promises) { v.now = v.now.Add(40 * ms) }, lease - 40*ms},
		"the lease passes":            {func(v *promises) { v.now = v.now.Add(lease) }, 0},
		"it is renewed":               {func(v *promises) { v.now = v.now.Add(40 * ms); renew(v, 3) }, lease},
		"an older renewal comes late": {func(v *promises) { v.now = v.now.Add(40 * ms); renew(v, 1) }, lease - 40*ms},
		"a renewal asks for more than is committed": {func(v *promises) {
			v.takeRenewal(1, Renew{Term: 5, Seq: 3, Incarnation: 5, Lease: time.Hour})
		}, lease},
		"a renewal for no time":              {func(v *promises) { v.now = v.now.Add(lease); v.takeRenewal(1, Renew{Term: 5, Seq: 3}) }, 0},
		"the leader releases it":             {func(v *promises) { v.takeRelease(Release{Term: 5, Seq: 2, ID: 1}) }, 0},
		"a release of an earlier renewal":    {func(v *promises) { renew(v, 3); v.takeRelease(Release{Term: 5, Seq: 2, ID: 1}) }, lease},
		"a release of an earlier leadership": {func(v *promises) { v.takeRelease(Release{Term: 4, Seq: 9, ID: 1}) }, lease},
		"a released renewal comes late":      {func(v *promises) { v.takeRelease(Release{Term: 5, Seq: 4, ID: 1}); renew(v, 3) }, 0},
		"a renewal after the release":        {func(v *promises) { v.takeRelease(Release{Term: 5, Seq: 2, ID: 1}); renew(v, 3) }, lease},
		"a release far ahead binds no later renewal": {func(v *promises) {
			v.takeRelease(Release{Term: 5, Seq: 1 << 40, ID: 1})
			renew(v, 2+releasedAhead+1)
		}, lease},
		"the leader's process is certified dead": {func(v *promises) { v.voidFor(Certificate{ID: 1, Incarnation: 5}) }, 0},
		"an earlier process of it is":            {func(v *promises) { v.voidFor(Certificate{ID: 1, Incarnation: 4}) }, lease},
		"a renewal of the dead comes late":       {func(v *promises) { v.voidFor(Certificate{ID: 1, Incarnation: 5}); renew(v, 3) }, 0},
		"another one's process of that number is": {func(v *promises) {
			v.now = v.now.Add(40 * ms)
			v.voidFor(Certificate{ID: 4, Incarnation: 5})
			renew(v, 3)
		}, lease},
		"somebody leads in a later term":           {func(v *promises) { v.supersededBy(6) }, 0},
		"the same leader is heard":                 {func(v *promises) { v.supersededBy(5) }, lease},
		"a watcher's grant ends that is not named": {func(v *promises) { v.testified(key) }, lease},
		"the grant that is named ends": {func(v *promises) {
			v.takeRenewal(1, Renew{Term: 5, Seq: 3, Incarnation: 5, Lease: lease, Watcher: 4, Grant: 9})
			v.testified(key)
		}, 0},
		"a renewal names a grant that has ended": {func(v *promises) {
			v.now = v.now.Add(lease)
			v.testified(key)
			v.takeRenewal(1, Renew{Term: 5, Seq: 3, Incarnation: 5, Lease: lease, Watcher: 4, Grant: 9})
		}, 0},
		"it was restarted, and has promised nothing since": {func(v *promises) {
			v.promise = promise{}
			v.waitUntil = v.now.Add(70 * ms)
		}, 70 * ms},
	} {
		v := promisesOf(t)
		renew(v, 2)
		tt.story(v)
		got := max(v.promise.until, v.waitUntil).Sub(v.now)
		if got = max(got, 0); got != tt.want {
			t.Errorf("%s: bound for %v, want %v", name, got, tt.want)
		}
		if free := v.free(); free != (tt.want == 0) {
			t.Errorf("%s: bound for %v, and free: %v", name, got, free)
		}
	}
}

// A promise that is longer than any before is acked when its bound is on the disk: after
// a restart the voter must know for how long it may be bound.
func TestAPromiseWaitsForItsBound(t *testing.T) {
	v := promisesOf(t)
	v.bound = 10 * time.Millisecond
	v.takeRenewal(1, Renew{Term: 5, Seq: 2, Incarnation: 5, Lease: v.ring.Settings.Lease()})
	acks := func() (n int) {
		for _, e := range v.effects {
			if s, ok := e.(Send); ok && s.Message.RenewAck != nil {
				n++
			}
		}
		return n
	}
	if acks() != 0 || v.boundSeq == 0 {
		t.Fatalf("%d acks before the bound is durable, write %d", acks(), v.boundSeq)
	}
	v.boundPersisted(v.boundSeq)
	if acks() != 1 || v.bound != v.ring.Settings.Lease() {
		t.Errorf("%d acks after the bound is durable, the bound is %v", acks(), v.bound)
	}
}

// Of each candidate the newest vote is held, and there is a bound.
func TestVotesAreHeld(t *testing.T) {
	v := promisesOf(t)
	for i := range uint64(2 * maxHeldVotes) {
		v.holdVote(&raftpb.Message{From: new(i % (maxHeldVotes + 5)), Term: new(i)}, 7)
	}
	if len(v.held) != maxHeldVotes {
		t.Errorf("%d votes are held, at most %d", len(v.held), maxHeldVotes)
	}
	seen := map[uint64]bool{}
	for _, h := range v.held {
		if seen[h.m.GetFrom()] {
			t.Errorf("two votes of candidate %d are held", h.m.GetFrom())
		}
		seen[h.m.GetFrom()] = true
	}
}
