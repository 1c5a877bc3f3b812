package supervise

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	"github.com/arc-ring/arc/queue"
)

// A link that changes nothing for the monitor may rest; one that does is sent
// at once. The monitor gets the newest in the end, once.
func TestLinksRest(t *testing.T) {
	target := func(id uint64, name string) *localv1.Target {
		return &localv1.Target{Id: id, Name: name, Incarnation: 10 + id, Addresses: []string{"192.0.2.1:7400"}}
	}
	base := &localv1.Link{
		Epoch: 5, Term: 3, Self: target(1, "a"), RingId: "r", Cluster: "c", Leader: 4, LeaderIntervalMs: 10, LeaderMisses: 3, IntervalMs: 50, Misses: 4,
		Successors: []*localv1.Target{target(2, "b"), target(3, "c"), target(4, "d")}, Tell: []*localv1.Target{target(4, "d")},
	}
	for name, c := range map[string]struct {
		change func(l *localv1.Link)
		rests  bool
	}{
		"another leader":             {func(l *localv1.Link) { l.Leader, l.Term = 3, 4 }, true},
		"another after the next":     {func(l *localv1.Link) { l.Successors = l.Successors[:2] }, true},
		"others to tell":             {func(l *localv1.Link) { l.Tell = nil }, true},
		"another successor":          {func(l *localv1.Link) { l.Successors = l.Successors[1:] }, false},
		"the successor came back":    {func(l *localv1.Link) { l.Successors[0].Incarnation++ }, false},
		"the successor leads":        {func(l *localv1.Link) { l.Leader = 2 }, false},
		"nobody to probe":            {func(l *localv1.Link) { l.Successors = nil }, false},
		"another timing":             {func(l *localv1.Link) { l.Misses++ }, false},
		"another incarnation of one": {func(l *localv1.Link) { l.Self.Incarnation++ }, false},
		"another ring":               {func(l *localv1.Link) { l.RingId = "s" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			sender, receiver := newQueue(t)
			s := &Supervisor{o: Options{Logger: hclog.NewNullLogger()}, sender: sender}
			s.SetLink(base)
			next := proto.CloneOf(base)
			next.Epoch++
			c.change(next)
			s.SetLink(next)
			s.mu.Lock()
			if rests := s.late != nil; rests != c.rests {
				t.Errorf("the link rests: %v, want %v", rests, c.rests)
			}
			s.mu.Unlock()
			last := proto.CloneOf(next)
			last.Epoch++
			s.SetLink(last)
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
