package netlab_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

func TestDelay(t *testing.T) {
	lab := netlab.New(t, netlab.Options{Hosts: 2})
	a, b := lab.Host(1), lab.Host(2)
	echoServer(t, b)
	const delay = 30 * time.Millisecond
	lab.Impair(b, netlab.Impairment{Delay: delay})
	l := mustDial(t, a, b.Addr(0))
	for range 3 {
		sent := time.Now()
		l.say("ping")
		if !l.hears("ping", patience) {
			t.Fatal("no answer")
		}
		if took := time.Since(sent); took < 2*delay {
			t.Errorf("to and fro took %v over a path with %v each way", took, delay)
		}
	}
	lab.Impair(b, netlab.Impairment{})
	l.say("good again")
	if !l.hears("good again", patience) {
		t.Error("no answer after the impairment was taken away")
	}
}

// Large writes leave the kernel in pieces of 64 KiB without checksums; they
// have to pass an impairment whole.
func TestBulkPassesAnImpairedCable(t *testing.T) {
	lab := netlab.New(t, netlab.Options{Hosts: 2})
	a, b := lab.Host(1), lab.Host(2)
	echoServer(t, b)
	lab.Impair(a, netlab.Impairment{Delay: time.Millisecond})
	lab.Impair(b, netlab.Impairment{Loss: 0.01})
	l := mustDial(t, a, b.Addr(0))
	want := bytes.Repeat([]byte("0123456789abcde\n"), 1<<16)
	go func() { _, _ = l.conn.Write(want) }()
	must(t, l.conn.SetReadDeadline(time.Now().Add(6*patience)))
	got := make([]byte, len(want))
	if _, err := io.ReadFull(l.reader, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("what came back is not what was sent")
	}
}

func TestLossAndDuplicates(t *testing.T) {
	lab := netlab.New(t, netlab.Options{Hosts: 2, Seed: 7})
	a, b := lab.Host(1), lab.Host(2)
	from, to := openMailbox(t, a), openMailbox(t, b)
	from.send(b.Addr(0), "warm")
	if to.next(patience) != "warm" {
		t.Fatal("no path")
	}
	lab.Impair(b, netlab.Impairment{Loss: 0.3, Duplicate: 0.2})
	const sent = 1000
	seen := map[string]int{}
	for i := range sent {
		from.send(b.Addr(0), fmt.Sprint(i))
		if i%50 == 49 { // no more under way than a socket holds
			for word := to.next(50 * time.Millisecond); word != ""; word = to.next(50 * time.Millisecond) {
				seen[word]++
			}
		}
	}
	twice := 0
	for _, n := range seen {
		if n > 1 {
			twice++
		}
	}
	// Seven standard deviations to either side.
	if lost := sent - len(seen); lost < 200 || lost > 400 {
		t.Errorf("of %d datagrams at 30 %% loss %d were lost", sent, lost)
	}
	if twice < 60 || twice > 220 {
		t.Errorf("of %d datagrams at 20 %% duplication %d came twice", sent, twice)
	}
}

func TestCutHoldsOnAnImpairedCable(t *testing.T) {
	lab := netlab.New(t, netlab.Options{Hosts: 2})
	a, b := lab.Host(1), lab.Host(2)
	atA, atB := openMailbox(t, a), openMailbox(t, b)
	atA.send(b.Addr(0), "warm")
	if atB.next(patience) != "warm" {
		t.Fatal("no path")
	}
	atB.send(a.Addr(0), "warm")
	if atA.next(patience) != "warm" {
		t.Fatal("no path back")
	}
	lab.CutOneWay(a, b)
	lab.Impair(a, netlab.Impairment{Delay: time.Millisecond})
	atA.send(b.Addr(0), "lost")
	atB.send(a.Addr(0), "passes")
	if got := atA.next(patience); got != "passes" {
		t.Errorf("against the cut: %q", got)
	}
	if got := atB.next(200 * time.Millisecond); got != "" {
		t.Errorf("through the cut: %q", got)
	}
}
