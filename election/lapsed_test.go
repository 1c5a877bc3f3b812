package election_test

import (
	"errors"
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
)

// A member that could not keep its lease leaves it to others to lead for a while. A
// handover to it that an operator asks for waits for the end of that time, as long as
// handovers may take.
func TestAHandoverWaitsForAMemberThatLapsed(t *testing.T) {
	lease := lan(t).Lease()
	deadline := 4 * lease
	for name, test := range map[string]struct {
		after time.Duration // from the end of its term to the handover
		err   error
		least time.Duration
	}{
		"its time is over in time":  {after: 5 * lease, least: 2 * lease},
		"its time lasts too long":   {after: 2 * lease, err: election.ErrUnable, least: deadline},
		"its time was over already": {after: 9 * lease},
	} {
		t.Run(name, func(t *testing.T) {
			w := threeFormed(t)
			a := w.nodes["a"]
			// Its questions are answered, its renewals are not.
			w.drop = func(m election.Message) bool { return m.RenewAck != nil && m.To == a.id }
			for end := w.now.Add(time.Minute); w.leader() == a && w.now < end; w.run(time.Millisecond) {
			}
			w.drop = nil
			gaveUp := w.now
			w.run(test.after)
			if l := w.leader(); l == nil || l == a {
				t.Fatalf("a leads still, or nobody does\n%s", w.out.String())
			}
			_, err := w.request(election.Request{Handover: &election.Handover{To: a.id}}, 2*deadline)
			if !errors.Is(err, test.err) || w.now < gaveUp.Add(test.after).Add(test.least) {
				t.Errorf("done after %v with %v, want %v after at least %v\n%s", w.now.Sub(gaveUp)-test.after, err, test.err, test.least, w.out.String())
			}
		})
	}
}
