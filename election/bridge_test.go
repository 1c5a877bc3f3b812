package election_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/arc-ring/arc/ring"
)

// A leader of four is cut from two, and still reaches the one whom the others need.
// It binds that one no longer than its own lease: there is a leader within the bound,
// and it stays, while the cut lasts.
func TestALeaderThatReachesOneVoterBindsItNoLongerThanItsLease(t *testing.T) {
	for _, profile := range ring.Profiles {
		for _, reached := range []string{"b", "c", "d"} { // the heir, and others
			t.Run(fmt.Sprint(profile, ", it reaches ", reached), func(t *testing.T) {
				w := newWorld()
				w.quiet = true
				s, err := ring.ProfileSettings(profile)
				if err != nil {
					t.Fatal(err)
				}
				w.form(t, s, 2*s.Lease()/5+100*time.Millisecond, "a", "b", "c", "d")
				w.run(2 * s.Lease())
				token := w.leader().n.State().Term
				for _, o := range []string{"b", "c", "d"} {
					if o != reached {
						w.split([]string{"a"}, []string{o})
					}
				}
				began, bound := w.now, s.FailoverBound(s.Assume())
				claims := func() string {
					for _, name := range []string{"b", "c", "d"} {
						if term, _, ok := claimOf(w.nodes[name], w.now); ok && term > token {
							return name
						}
					}
					return ""
				}
				for claims() == "" && w.now < began.Add(bound) {
					w.run(time.Millisecond)
				}
				t.Logf("%q claims after %v, the bound is %v", claims(), w.now.Sub(began), bound)
				if claims() == "" {
					t.Fatalf("nobody claims within %v\n%s", bound, w.status())
				}
				for end := w.now.Add(8 * s.Lease()); w.now < end; w.run(time.Millisecond) {
					if claims() == "" {
						t.Fatalf("the claim is lost again while the cut lasts, %v after it began\n%s", w.now.Sub(began), w.status())
					}
				}
			})
		}
	}
}
