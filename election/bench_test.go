package election_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/arc-ring/arc/ring"
)

// BenchmarkFailover is what the cores of all survivors do, one after the other,
// from the certificate of a crashed leader until another one claims and everybody
// knows it: votes, declaration, renewals and their acks. Messages and disks cost
// nothing.
func BenchmarkFailover(b *testing.B) {
	for _, profile := range []string{"lan", "realtime"} {
		for _, members := range []int{3, 5} {
			b.Run(fmt.Sprintf("%s/members=%d", profile, members), func(b *testing.B) {
				s, err := ring.ProfileSettings(profile)
				if err != nil {
					b.Fatal(err)
				}
				w := newWorld()
				w.quiet, w.untraced = true, true
				w.form(b, s, 4*s.Lease(), []string{"a", "b", "c", "d", "e"}[:members]...)
				b.ReportAllocs()
				for b.Loop() {
					old := w.leader()
					w.kill(old.name, true, "")
					for end := w.now.Add(s.Lease()); !w.ledByOther(old) && w.now < end; {
						w.run(time.Millisecond)
					}
					b.StopTimer()
					if !w.ledByOther(old) {
						b.Fatalf("no leader after %s:\n%s", old.name, w.status())
					}
					w.run(4 * s.Lease())
					if err := w.join(old.name, ring.Member{}); err != nil {
						b.Fatal(err)
					}
					w.run(4 * s.Lease())
					b.StartTimer()
				}
			})
		}
	}
}

// ledByOther reports whether a node other than old claims, and all that are up
// know its declaration.
func (w *world) ledByOther(old *node) bool {
	var known *ring.State
	claims := false
	for _, name := range w.order {
		nd := w.nodes[name]
		if !nd.up {
			continue
		}
		s := nd.n.State()
		if s.LeaderID == old.id || known != nil && s.Term != known.Term {
			return false
		}
		known = s
		claims = claims || nd.claims
	}
	return claims
}
