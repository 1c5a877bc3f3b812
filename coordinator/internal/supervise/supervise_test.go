package supervise

import (
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	"github.com/arc-ring/arc/queue"
)

// An urgent link is sent at once, another one a little later. The monitor gets the
// newest in the end, once.
func TestOnlyUrgentLinksAreSentAtOnce(t *testing.T) {
	base := &localv1.Link{
		Epoch: 5, Term: 3, Self: &localv1.Target{Id: 1, Name: "a", Incarnation: 11, Addresses: []string{"192.0.2.1:7400"}}, RingId: "r", Cluster: "c",
		Leader: 4, LeaderIntervalMs: 10, LeaderMisses: 3, IntervalMs: 50, Misses: 4,
		Successors: []*localv1.Target{{Id: 2, Name: "b", Incarnation: 12, Addresses: []string{"192.0.2.1:7400"}}},
	}
	for name, urgent := range map[string]bool{"urgent": true, "not urgent": false} {
		t.Run(name, func(t *testing.T) {
			sender, receiver := newQueue(t)
			s := &Supervisor{o: Options{Logger: hclog.NewNullLogger()}, sender: sender}
			s.SetLink(base, true)
			next := proto.CloneOf(base)
			next.Epoch++
			s.SetLink(next, urgent)
			s.mu.Lock()
			if waits := s.late != nil; waits == urgent {
				t.Errorf("the link waits: %v", waits)
			}
			s.mu.Unlock()
			last := proto.CloneOf(next)
			last.Epoch++
			s.SetLink(last, false)
			for want := base.Epoch; want != last.Epoch; {
				l, err := receiver.Receive()
				if err != nil {
					t.Fatal(err)
				}
				want = l.Epoch
			}
		})
	}
}

// newQueue returns both sides of a queue.
func newQueue(t *testing.T) (*queue.Sender, *queue.Receiver) {
	t.Helper()
	sender, file, err := queue.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sender.Close() })
	fd, err := unix.Dup(int(file.Fd())) // the receiver's own, as if inherited
	if err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	receiver, err := queue.Inherited(uintptr(fd))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = receiver.Close() })
	return sender, receiver
}

// A reason that is too long for a link says that it goes on.
func TestALongEndingIsMarked(t *testing.T) {
	for _, why := range []string{"exited by itself: a disk", "exited by itself: " + strings.Repeat("é", 200), strings.Repeat("x", 300)} {
		sender, receiver := newQueue(t)
		s := &Supervisor{o: Options{Logger: hclog.NewNullLogger()}, sender: sender, link: &localv1.Link{Epoch: 5, RingId: "r", Cluster: "c"}}
		s.Ending(why, false)
		l, err := receiver.Receive()
		if err != nil {
			t.Fatal(err)
		}
		begin, cut := strings.CutSuffix(l.GetEnding(), "…")
		if !strings.HasPrefix(why, begin) || cut != (len(why) > endingMax) || !utf8.ValidString(begin) || len(begin) < min(len(why), endingMax-4) {
			t.Errorf("%q became %q", why, l.GetEnding())
		}
	}
}

// A monitor is told that the incarnation is over although the process goes on, and hears
// nothing more of it.
func TestAnIncarnationThatIsOver(t *testing.T) {
	sender, receiver := newQueue(t)
	s := &Supervisor{o: Options{Logger: hclog.NewNullLogger()}, sender: sender, link: &localv1.Link{Epoch: 5, RingId: "r", Cluster: "c"}}
	s.Over("halted", false)
	s.Over("halted", false)
	if l, err := receiver.Receive(); err != nil || !l.GetOver() || l.GetEnding() != "halted" {
		t.Errorf("got %v, %v", l, err)
	}
	if l, err := receiver.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, %v after it", l, err)
	}
}
