package election

import (
	"testing"
	"time"
)

// leaseOf is the lease of member 1 in a ring of four, in term 5, at 10 s. It knows no
// raft, so the configuration is an argument.
func leaseOf(t *testing.T) *lease {
	t.Helper()
	l := &lease{base: &base{cfg: Config{ID: 1}, ring: fourMembers(t), now: Instant(10 * time.Second)}, grants: grants{ends: map[grantKey]Instant{}}}
	l.begin()
	return l
}

// A leader's lease ends when no majority is bound any more. Each case is a story: what
// was acked by whom, and until when the lease then lasts after the first renewal.
func TestWhereALeaseEnds(t *testing.T) {
	const ms = time.Millisecond
	four, three, pair := []uint64{1, 2, 3, 4}, []uint64{1, 2, 3}, []uint64{1, 2}
	ack := func(l *lease, from uint64) { l.takeAck(from, RenewAck{Term: 5, Seq: l.seq}) }
	whole := func(l *lease) time.Duration { return l.ring.Settings.LeaderLease() }
	none := func(*lease) time.Duration { return -10 * time.Second }
	for name, tt := range map[string]struct {
		voters, outgoing []uint64
		story            func(*lease)
		want             func(*lease) time.Duration
	}{
		"nobody has acked":           {three, nil, func(*lease) {}, none},
		"one of three with the own":  {three, nil, func(l *lease) { ack(l, 2) }, whole},
		"one of four is no majority": {four, nil, func(l *lease) { ack(l, 2) }, none},
		"two of four":                {four, nil, func(l *lease) { ack(l, 2); ack(l, 3) }, whole},
		"who is no voter":            {three, nil, func(l *lease) { ack(l, 4) }, none},
		"the only voter":             {[]uint64{1}, nil, func(*lease) {}, func(*lease) time.Duration { return Never.Sub(Instant(10 * time.Second)) }},
		"both halves while joint":    {three, []uint64{1, 4}, func(l *lease) { ack(l, 2) }, none},
		"both halves have one":       {three, []uint64{1, 4}, func(l *lease) { ack(l, 2); ack(l, 4) }, whole},
		"counted from the sending": {pair, nil, func(l *lease) {
			l.now = l.now.Add(40 * ms)
			ack(l, 2)
		}, whole},
		"the newer renewal counts": {pair, nil, func(l *lease) {
			ack(l, 2)
			l.now = l.now.Add(100 * ms)
			l.sending()
			ack(l, 2)
		}, func(l *lease) time.Duration { return 100*ms + l.ring.Settings.LeaderLease() }},
		"an older ack comes late": {pair, nil, func(l *lease) {
			first := l.seq
			l.now = l.now.Add(100 * ms)
			l.sending()
			ack(l, 2)
			l.takeAck(2, RenewAck{Term: 5, Seq: first})
		}, func(l *lease) time.Duration { return 100*ms + l.ring.Settings.LeaderLease() }},
		"the newest counts, also where it is shorter": {pair, nil, func(l *lease) {
			ack(l, 2)
			l.ring.Settings.LeaseMS = 100
			l.now = l.now.Add(10 * ms)
			l.sending()
			ack(l, 2)
		}, func(l *lease) time.Duration { return 10*ms + l.ring.Settings.LeaderLease() }},
		"a voter promised less": {pair, nil, func(l *lease) {
			l.takeAck(2, RenewAck{Term: 5, Seq: l.seq, Lease: 50 * ms})
		}, func(l *lease) time.Duration { return l.ring.Settings.LeaderLease() - l.ring.Settings.Lease() + 50*ms }},
		"a voter says that it promised more": {pair, nil, func(l *lease) {
			l.takeAck(2, RenewAck{Term: 5, Seq: l.seq, Lease: time.Hour})
		}, whole},
		"an ack of what was never sent": {pair, nil, func(l *lease) { l.takeAck(2, RenewAck{Term: 5, Seq: l.seq + 1}) }, none},
		"the promises were voided":      {pair, nil, func(l *lease) { ack(l, 2); l.void() }, none},
		"an ack of a voided renewal":    {pair, nil, func(l *lease) { l.void(); ack(l, 2) }, none},
		"a new leadership":              {pair, nil, func(l *lease) { ack(l, 2); l.begin() }, none},
	} {
		l := leaseOf(t)
		began := l.now
		l.sending()
		tt.story(l)
		if got, want := l.leaseEnd(tt.voters, tt.outgoing).Sub(began), tt.want(l); got != want {
			t.Errorf("%s: the lease ends %v after the first renewal, want %v", name, got, want)
		}
	}
}

// A grant that is named in a renewal may end a promise earlier than the lease does, and
// so may one that is named in a later renewal, which may have arrived.
func TestAGrantEndsALease(t *testing.T) {
	const ms = time.Millisecond
	key := grantKey{watcher: 4, number: 9}
	for name, tt := range map[string]struct {
		story func(*lease)
		want  time.Duration
	}{
		"named in the acked renewal": {func(l *lease) {
			l.named = key
			l.sending()
			l.takeAck(2, RenewAck{Seq: l.seq})
		}, 30 * ms},
		"named in a later one that is not acked": {func(l *lease) {
			l.sending()
			l.takeAck(2, RenewAck{Seq: l.seq})
			l.named = key
			l.sending()
		}, 30 * ms},
		"named in an earlier one alone": {func(l *lease) {
			l.named = key
			l.sending()
			l.named = grantKey{}
			l.sending()
			l.takeAck(2, RenewAck{Seq: l.seq})
		}, 0},
		"extended by the watcher": {func(l *lease) {
			l.named = key
			l.sending()
			l.takeAck(2, RenewAck{Seq: l.seq})
			l.grants.extend(key, l.now.Add(60*ms))
		}, 60 * ms},
	} {
		l := leaseOf(t)
		began := l.now
		l.grants.extend(key, began.Add(30*ms))
		tt.story(l)
		if tt.want == 0 {
			tt.want = l.ring.Settings.LeaderLease()
		}
		if got := l.leaseEnd([]uint64{1, 2}, nil).Sub(began); got != tt.want {
			t.Errorf("%s: the lease ends after %v, want %v", name, got, tt.want)
		}
	}
}
