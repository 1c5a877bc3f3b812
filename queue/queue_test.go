package queue

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/testwait"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
)

func TestMain(m *testing.M) {
	if os.Getenv("ARC_QUEUE_TEST_CHILD") != "" {
		os.Exit(child())
	}
	goleak.VerifyTestMain(m)
}

// child is a monitor: it prints the epoch of each link until the end.
func child() int {
	r, err := Inherited(3)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	alarmC := make(chan os.Signal, 1)
	signal.Notify(alarmC, syscall.SIGUSR1)
	for {
		l, err := r.Receive()
		if err != nil {
			fmt.Println(err)
			return 0
		}
		<-alarmC
		fmt.Println("notified, epoch", l.Epoch)
	}
}

func link(epoch uint64) *localv1.Link {
	return &localv1.Link{
		Epoch: epoch, Term: 3, RingId: "0123456789abcdef", Cluster: "c",
		Self:       &localv1.Target{Id: 1, Name: "n1", Incarnation: 11, Addresses: []string{"10.0.0.1:7400"}},
		Successors: []*localv1.Target{{Id: 2, Name: "n2", Incarnation: 22, Addresses: []string{"10.0.0.2:7400", "[fe80::2%eth0]:7400"}}},
		Tell:       []*localv1.Target{{Id: 2, Name: "n2", Incarnation: 22, Addresses: []string{"10.0.0.2:7400"}}},
		Leader:     2, LeaderIntervalMs: 100, LeaderMisses: 5, IntervalMs: 200, Misses: 5, HangAfterMs: 5000,
	}
}

// pair returns both ends in this process.
func pair(t *testing.T) (*Sender, *Receiver) {
	t.Helper()
	s, file, err := New()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Inherited(uintptr(fd))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		r.Close()
	})
	return s, r
}

func TestLinksArriveAsSentWithTheirNumber(t *testing.T) {
	s, r := pair(t)
	for i := range uint64(3) {
		sent := link(i)
		if err := s.Send(sent); err != nil {
			t.Fatal(err)
		}
		got, err := r.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if sent.Seq != 0 {
			t.Error("Send changed the caller's link")
		}
		sent.Seq = i + 1
		if !proto.Equal(got, sent) {
			t.Errorf("got %v, want %v", got, sent)
		}
	}
}

func TestWhenTheQueueIsFullTheNewestLinkWins(t *testing.T) {
	s, r := pair(t)
	const last = 5000
	for i := range uint64(last) {
		l := link(i + 1)
		l.Redial = i+1 == last-1 // superseded before it was handed in
		if err := s.Send(l); err != nil {
			t.Fatal(err)
		}
	}
	if got := keptEpoch(s); got != last {
		t.Fatalf("epoch %d is kept, want the newest: is the buffer that large?", got)
	}
	var before *localv1.Link
	n := 0
	for {
		l, err := r.Receive()
		if err != nil {
			t.Fatal(err)
		}
		n++
		if before != nil && (l.Epoch <= before.Epoch || l.Seq <= before.Seq) {
			t.Fatalf("epoch %d seq %d came after epoch %d seq %d", l.Epoch, l.Seq, before.Epoch, before.Seq)
		}
		before = l
		if l.Epoch == last {
			break
		}
	}
	if !before.Redial {
		t.Error("the wish of a superseded link for a fresh dial was lost")
	}
	if n == last {
		t.Error("no link was dropped: the buffer never was full")
	}
	// It goes on as before.
	if err := s.Send(link(last + 1)); err != nil {
		t.Fatal(err)
	}
	if l, err := r.Receive(); err != nil || l.Epoch != last+1 || l.Seq != last+1 || l.Redial {
		t.Errorf("then got %v, %v", l, err)
	}
}

func TestTheMonitorSeesTheEndAfterWhatWasQueued(t *testing.T) {
	s, r := pair(t)
	if err := s.Send(link(7)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err := r.Receive(); err != nil || l.Epoch != 7 {
		t.Errorf("got %v, %v, want the queued link", l, err)
	}
	for range 2 {
		if _, err := r.Receive(); err != io.EOF {
			t.Errorf("then got %v, want EOF", err)
		}
	}
	if err := s.Send(link(8)); !errors.Is(err, ErrClosed) {
		t.Errorf("Send after Close gives %v, want %v", err, ErrClosed)
	}
}

func TestTheCoordinatorSeesTheEnd(t *testing.T) {
	t.Run("at once", func(t *testing.T) {
		s, r := pair(t)
		r.Close()
		for range 2 {
			if err := s.Send(link(1)); !errors.Is(err, ErrClosed) {
				t.Errorf("Send gives %v, want %v", err, ErrClosed)
			}
		}
	})
	t.Run("while a link is kept", func(t *testing.T) {
		s, r := pair(t)
		for keptEpoch(s) == 0 {
			if err := s.Send(link(1)); err != nil {
				t.Fatal(err)
			}
		}
		r.Close()
		s.flushers.Wait()
		if err := s.Send(link(1)); !errors.Is(err, ErrClosed) {
			t.Errorf("Send gives %v, want %v", err, ErrClosed)
		}
	})
}

func TestCloseEndsAReceiveThatWaits(t *testing.T) {
	_, r := pair(t)
	done := make(chan error)
	go func() {
		_, err := r.Receive()
		done <- err
	}()
	r.Close()
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("Receive gives %v, want %v", err, ErrClosed)
	}
}

func TestCloseEndsAFlushThatWaits(t *testing.T) {
	s, _ := pair(t)
	for keptEpoch(s) == 0 {
		if err := s.Send(link(1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestFarSuccessorsDoNotTravel(t *testing.T) {
	s, r := pair(t)
	l := link(1)
	for id := range uint64(1000) {
		l.Successors = append(l.Successors, &localv1.Target{Id: id + 3, Name: strings.Repeat("x", 255), Addresses: []string{"10.0.0.1:1"}})
	}
	if err := s.Send(l); err != nil {
		t.Fatal(err)
	}
	got, err := r.Receive()
	if err != nil || len(got.Successors) != limits.Successors || got.Successors[1].Id != 3 {
		t.Errorf("%d successors arrived (%v), want the nearest %d", len(got.GetSuccessors()), err, limits.Successors)
	}
}

func TestBadMessagesAreRefusedAndTheQueueGoesOn(t *testing.T) {
	s, r := pair(t)
	raw := func(b []byte) {
		t.Helper()
		s.conn.Control(func(fd uintptr) {
			if ok, err := write(fd, b); !ok {
				t.Fatalf("no room: %v", err)
			}
		})
	}
	raw([]byte("no protobuf"))
	raw(make([]byte, limits.QueueMessage))
	raw(make([]byte, limits.QueueMessage+1))
	if err := s.Send(link(1)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := r.Receive(); !errors.Is(err, ErrBadLink) {
			t.Errorf("rubbish gives %v, want %v", err, ErrBadLink)
		}
	}
	if _, err := r.Receive(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a large message gives %v, want %v", err, ErrTooLarge)
	}
	if l, err := r.Receive(); err != nil || l.Epoch != 1 {
		t.Errorf("then got %v, %v", l, err)
	}
}

func TestValidation(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*localv1.Link)
		want   string // in the error, empty if it is good
	}{
		{"good", func(*localv1.Link) {}, ""},
		{"a unix socket", func(l *localv1.Link) { l.Successors[0].Addresses = []string{"unix:///run/a.sock"} }, ""},
		{"ring of one", func(l *localv1.Link) { l.Successors, l.Tell, l.IntervalMs = nil, nil, 0 }, ""},
		{"left the ring", func(l *localv1.Link) { *l = localv1.Link{} }, ""},
		{"no self", func(l *localv1.Link) { l.Self = nil }, "self.id is 0"},
		{"interval", func(l *localv1.Link) { l.IntervalMs = 0 }, "interval_ms = 0 is not between 1 and 60000"},
		{"leader's interval", func(l *localv1.Link) { l.LeaderIntervalMs = 60_001 }, "leader_interval_ms = 60001"},
		{"misses", func(l *localv1.Link) { l.Misses = 101 }, "misses = 101"},
		{"leader's misses", func(l *localv1.Link) { l.LeaderMisses = 0 }, "leader_misses = 0"},
		{"hang", func(l *localv1.Link) { l.HangAfterMs = 4_000_000 }, "hang_after_ms = 4000000"},
		{"id 0", func(l *localv1.Link) { l.Successors[0].Id = 0 }, "successors[0]: id is 0"},
		{"twice", func(l *localv1.Link) { l.Tell = append(l.Tell, l.Tell[0]) }, "tell[1]: id 2 is there twice"},
		{"itself", func(l *localv1.Link) { l.Successors[0].Id = 1 }, "id 1 is the monitor's own"},
		{"no address", func(l *localv1.Link) { l.Tell[0].Addresses = nil }, "tell[0]: 0 addresses"},
		{"no port", func(l *localv1.Link) { l.Successors[0].Addresses = []string{"10.0.0.2"} }, `address "10.0.0.2"`},
		{"no host", func(l *localv1.Link) { l.Successors[0].Addresses = []string{":7400"} }, "want HOST:PORT"},
		{"relative path", func(l *localv1.Link) { l.Successors[0].Addresses = []string{"unix://a.sock"} }, "no absolute path"},
		{"long name", func(l *localv1.Link) { l.Self.Name = strings.Repeat("x", 256) }, "self.name has 256 bytes"},
		{"as many to tell as may be", func(l *localv1.Link) {
			for id := uint64(3); len(l.Tell) < limits.Tell; id++ {
				l.Tell = append(l.Tell, &localv1.Target{Id: id, Name: "n", Addresses: []string{"h:1"}})
			}
		}, ""},
		{"too many to tell", func(l *localv1.Link) { l.Tell = make([]*localv1.Target, limits.Tell+1) }, "33 members to tell"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, r := pair(t)
			l := link(1)
			c.change(l)
			err := s.Send(l)
			if c.want == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				if _, err := r.Receive(); err != nil {
					t.Errorf("sent, but not received: %v", err)
				}
				return
			}
			if !errors.Is(err, ErrBadLink) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Send gives %v, want %v with %q", err, ErrBadLink, c.want)
			}
		})
	}
}

func TestNoQueueIsInherited(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	stream, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(stream[0])
	defer unix.Close(stream[1])
	for name, fd := range map[string]uintptr{"closed": 1 << 20, "no socket": null.Fd(), "a stream": uintptr(stream[0])} {
		if _, err := Inherited(fd); !errors.Is(err, ErrNoQueue) || !strings.Contains(err.Error(), "started by arc coordinator") {
			t.Errorf("%s: %v, want %v", name, err, ErrNoQueue)
		}
	}
}

// The whole of it: a child inherits the queue as descriptor 3, is notified, and
// sees the end.
func TestAChildInheritsTheQueue(t *testing.T) {
	s, file, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ARC_QUEUE_TEST_CHILD=1")
	cmd.ExtraFiles = []*os.File{file}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	file.Close()
	kill := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	defer kill.Stop()
	defer cmd.Wait()
	if err := s.Send(link(0)); err != nil {
		t.Fatal(err)
	}
	// Wait until the child has taken the link: from then on it can be notified.
	testwait.Until(t, 20*time.Second, "the child has taken the link", func() bool { return queued(t, s) == 0 })
	if err := cmd.Process.Signal(unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 100)
	read := func(want string) {
		t.Helper()
		n, err := out.Read(buffer)
		if got := string(buffer[:n]); got != want {
			t.Errorf("the child prints %q (%v), want %q", got, err, want)
		}
	}
	read("notified, epoch 0\n")
	if err := s.Send(link(1)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	read("notified, epoch 1\n")
	s.Close()
	read("EOF\n")
}

// queued returns how many bytes of the buffer the other side has not freed.
func queued(t *testing.T, s *Sender) (n int) {
	t.Helper()
	err := s.conn.Control(func(fd uintptr) {
		var err error
		if n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err != nil {
			t.Fatal(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// keptEpoch returns the epoch of the link that found no room, 0 if there is
// none.
func keptEpoch(s *Sender) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept.GetEpoch()
}
