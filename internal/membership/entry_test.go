package membership

import (
	"testing"

	"github.com/arc-ring/arc/ring"
)

func TestBegin(t *testing.T) {
	for _, c := range []struct {
		id    uint64
		empty bool
		want  Beginning
	}{{0, true, Seek}, {3, true, SeekAgain}, {3, false, Resume}} {
		if got := Begin(c.id, c.empty); got != c.want {
			t.Errorf("member %d, empty log %v: %v, want %v", c.id, c.empty, got, c.want)
		}
	}
}

func TestAfter(t *testing.T) {
	for _, c := range []struct {
		unborn, leaving bool
		want            Sequel
	}{{false, false, Rejoin}, {true, false, SeekAnother}, {false, true, End}, {true, true, End}} {
		if got := After(c.unborn, c.leaving); got != c.want {
			t.Errorf("unborn %v, leaving %v: %v, want %v", c.unborn, c.leaving, got, c.want)
		}
	}
}

// One number goes to one founder's process; another founder gets another one, and
// so does the entry after that.
func TestTheNumberOfAnEntry(t *testing.T) {
	next := uint64(0)
	draw := func() uint64 { next++; return next }
	var e Entry
	e.Renew(draw)
	for i, c := range []struct {
		founder     string
		incarnation uint64
		want        uint64
	}{{"n1", 7, 2}, {"n1", 7, 2}, {"n1", 8, 3}, {"n2", 8, 4}, {"n1", 8, 5}} {
		if got := e.Accept(c.founder, c.incarnation, draw); got != c.want || e.Number() != got {
			t.Errorf("%d: the number is %d and %d, want %d", i, got, e.Number(), c.want)
		}
	}
	e.Renew(draw)
	if got := e.Number(); got != 6 {
		t.Errorf("the next entry has number %d, want 6", got)
	}
}

func TestHeldBy(t *testing.T) {
	wanted := ring.Wanted{Cluster: "c", RingID: "r", Name: "n1", ID: 1, Incarnation: 5}
	answer := ring.Answer{Cluster: "c", RingID: "r", Name: "n1", ID: 1, Incarnation: 6}
	for name, c := range map[string]struct {
		path ring.Path
		want bool
	}{
		"another process":   {ring.Path{Outcome: ring.PathAnswered, Answer: answer}, true},
		"nobody listens":    {ring.Path{Outcome: ring.PathRefused}, false},
		"another member":    {ring.Path{Outcome: ring.PathAnswered, Answer: ring.Answer{Cluster: "c", RingID: "r", Name: "n2", ID: 2, Incarnation: 6}}, false},
		"this very process": {ring.Path{Outcome: ring.PathAnswered, Answer: ring.Answer{Cluster: "c", RingID: "r", Name: "n1", ID: 1, Incarnation: 5}}, false},
	} {
		if got := HeldBy(wanted, c.path); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
