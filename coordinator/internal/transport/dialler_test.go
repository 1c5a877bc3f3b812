package transport

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/testwait"
)

// dials runs a lone transport with one peer in virtual time and returns when
// it dialled, counted from the start.
func dials(t *testing.T, addresses int, answer func(ctx context.Context) error, log hclog.Logger, story func(tr *Transport)) []time.Duration {
	t.Helper()
	return dialsAt(t, addresses, func(ctx context.Context, _ string) error { return answer(ctx) }, log, story)
}

func dialsAt(t *testing.T, addresses int, answer func(ctx context.Context, addr string) error, log hclog.Logger, story func(tr *Transport)) []time.Duration {
	t.Helper()
	var mu sync.Mutex
	var at []time.Duration
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		tr := bare(Options{
			Self:   func() Identity { return Identity{Cluster: "c", RingID: "r", ID: 1, Name: "n1"} },
			Logger: log,
			Dialer: &connect.Dialer{Raw: func(ctx context.Context, _, addr string) (net.Conn, error) {
				mu.Lock()
				at = append(at, time.Since(began))
				mu.Unlock()
				return nil, answer(ctx, addr)
			}},
		})
		p := listed(2, 1)
		for i := range addresses {
			p.Addresses = append(p.Addresses, fmt.Sprintf("192.0.2.%d:7400", i+1))
		}
		tr.SetPeers([]election.Peer{p})
		story(tr)
		tr.Close()
	})
	return at
}

func refuse(context.Context) error { return syscall.ECONNREFUSED }

func silence(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func within(at []time.Duration, from, to time.Duration) int {
	n := 0
	for _, d := range at {
		if d >= from && d < to {
			n++
		}
	}
	return n
}

func TestBacksOffWhenRefused(t *testing.T) {
	at := dials(t, 1, refuse, nil, func(*Transport) { testwait.Virtual(20 * time.Second) })
	if at[0] != 0 || at[1] > 10*time.Millisecond {
		t.Errorf("first dials after %v and %v, want at once and within 10ms", at[0], at[1])
	}
	// 500 ms and a quarter more or less.
	if n := within(at, 10*time.Second, 20*time.Second); n < 16 || n > 27 {
		t.Errorf("%d dials in ten seconds of backoff, want about 20", n)
	}
}

func TestTriesEveryAddressOfARound(t *testing.T) {
	at := dials(t, 3, silence, nil, func(*Transport) { testwait.Virtual(time.Second) })
	want := []time.Duration{0, dialRules.Stagger, 2 * dialRules.Stagger}
	for i, w := range want {
		if at[i] != w {
			t.Errorf("dial %d after %v, want %v", i, at[i], w)
		}
	}
	at = dials(t, 3, refuse, nil, func(*Transport) { testwait.Virtual(time.Millisecond) })
	if len(at) != 3 {
		t.Errorf("%d dials at once when all refuse, want 3", len(at))
	}
}

func TestSilenceIsTriedAgainAndBounded(t *testing.T) {
	var pending, most atomic.Int32
	at := dials(t, 8, func(ctx context.Context) error {
		if n := pending.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer pending.Add(-1)
		return silence(ctx)
	}, nil, func(*Transport) { testwait.Virtual(30 * time.Second) })
	if n := int(most.Load()); n > dialRules.Most {
		t.Errorf("%d dials at the same time, want at most %d", n, dialRules.Most)
	}
	if n := within(at, 20*time.Second, 30*time.Second); n < 80 || n > 240 {
		t.Errorf("%d dials in ten seconds at eight silent addresses, want 80 to 240", n)
	}
	one := dials(t, 1, silence, nil, func(*Transport) { testwait.Virtual(20 * time.Second) })
	if n := within(one, 10*time.Second, 20*time.Second); n < 36 || n > 44 {
		t.Errorf("%d dials in ten seconds at one silent address, want 40", n)
	}
}

func TestQuietSlowsDown(t *testing.T) {
	at := dials(t, 1, refuse, nil, func(tr *Transport) {
		testwait.Virtual(time.Second)
		tr.Quiet(2)
		testwait.Virtual(10 * time.Second)
		tr.Wake(2)
		testwait.Virtual(time.Second)
	})
	if n := within(at, time.Second, 11*time.Second); n < 7 || n > 14 {
		t.Errorf("%d dials in ten quiet seconds, want about 10", n)
	}
	if n := within(at, 11*time.Second, 11*time.Second+50*time.Millisecond); n < 3 {
		t.Errorf("%d dials just after Wake, want the fast ones", n)
	}
}

// A notice of eviction quiets the peer that was dialled, not another one that has its
// id by now.
func TestEvictionQuietsWhoWasDialled(t *testing.T) {
	dials(t, 1, silence, nil, func(tr *Transport) {
		old := tr.peers[2]
		fresh := newPeer(tr, listed(2, 2))
		tr.mu.Lock()
		tr.peers[2] = fresh
		tr.mu.Unlock()
		newDialler(newPath(old, "")).failed(result{err: errEvicted})
		if !old.isQuiet() || fresh.isQuiet() {
			t.Errorf("quiet: the one that was dialled %v, the other one %v, want the first", old.isQuiet(), fresh.isQuiet())
		}
		tr.mu.Lock()
		tr.peers[2] = old
		tr.mu.Unlock()
	})
}

func TestNewIncarnationEndsQuietAndBackoff(t *testing.T) {
	at := dials(t, 1, refuse, nil, func(tr *Transport) {
		tr.Quiet(2)
		testwait.Virtual(10 * time.Second)
		tr.SetPeers([]election.Peer{listed(2, 2, "192.0.2.1:7400")})
		testwait.Virtual(time.Second)
	})
	if n := within(at, 10*time.Second, 10*time.Second+50*time.Millisecond); n < 3 {
		t.Errorf("%d dials just after the new incarnation, want the fast ones", n)
	}
}

func TestUnreachableIsLoggedLoudOnce(t *testing.T) {
	for name, answer := range map[string]func(context.Context) error{"refused": refuse, "silent": silence} {
		t.Run(name, func(t *testing.T) {
			var out lockedBuffer
			dials(t, 2, answer, hclog.New(&hclog.LoggerOptions{Output: &out, Level: hclog.Warn}), func(*Transport) { testwait.Virtual(10 * time.Second) })
			if n := strings.Count(out.String(), "cannot be reached"); n != 1 {
				t.Errorf("logged %d times, want once:\n%s", n, out.String())
			}
		})
	}
}

// A container bridge has the same address on every host: what fails there is
// harmless, and says nothing of why the peer cannot be reached.
func TestTheAddressThatFailedIsNamedAndNotOurOwn(t *testing.T) {
	for name, answer := range map[string]func(context.Context) error{"refused": refuse, "silent": silence} {
		t.Run(name, func(t *testing.T) {
			for _, own := range []string{"192.0.2.1:7400", "192.0.2.2:7400"} {
				var out lockedBuffer
				dialsAt(t, 2, func(ctx context.Context, addr string) error {
					if addr == own {
						return fmt.Errorf("dial %s: %w", addr, connect.ErrOwn)
					}
					return answer(ctx)
				}, hclog.New(&hclog.LoggerOptions{Output: &out, Level: hclog.Warn}), func(*Transport) { testwait.Virtual(10 * time.Second) })
				if s := out.String(); strings.Count(s, "cannot be reached") != 1 || strings.Contains(s, own) {
					t.Errorf("own address %s: want one line, without it:\n%s", own, s)
				}
			}
		})
	}
}

const overflowSays = "peer does not keep up"

func TestOverflowOfAnUnreachablePeerIsQuiet(t *testing.T) {
	for name, quiet := range map[string]bool{"unreachable": false, "thought dead": true} {
		t.Run(name, func(t *testing.T) {
			var out lockedBuffer
			dials(t, 1, refuse, hclog.New(&hclog.LoggerOptions{Output: &out, Level: hclog.Debug}), func(tr *Transport) {
				if quiet {
					tr.Quiet(2)
				}
				for i := range uint64(600) { // a minute
					tr.Send(renew(1, 2, i+1))
					testwait.Virtual(100 * time.Millisecond)
				}
			})
			lines := strings.Split(out.String(), "\n")
			n := 0
			for _, l := range lines {
				if !strings.Contains(l, overflowSays) {
					continue
				}
				n++
				if !strings.Contains(l, "[DEBUG]") {
					t.Errorf("loud: %s", l)
				}
			}
			if n < 3 || n > 7 {
				t.Errorf("logged %d times in a minute, want about 6", n)
			}
		})
	}
}

// When a process dies, all others lose their connections to it at once: they
// do not redial before it is known whom to redial. One that comes back at once
// is dialled as soon as it says so.
func TestLostConnectionIsNotRedialledAtOnce(t *testing.T) {
	dialled, lost := make(chan time.Time, 100), make(chan time.Time, 100)
	a := start(t, 1, "127.0.0.1:0", Options{
		Dialer: &connect.Dialer{Raw: func(ctx context.Context, _, addr string) (net.Conn, error) {
			if ctx.Err() == nil { // else the race was over before this try began
				dialled <- time.Now()
			}
			return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		}},
		PeerDown: func(uint64) { lost <- time.Now() },
	})
	b := start(t, 2, "127.0.0.1:0", Options{})
	introduce(a, b)
	await(t, "a's stream", a.up)
	await(t, "b's stream", b.up)
	a.looks(2)
	for len(dialled) > 0 { // more than one, if b was slow to answer
		<-dialled
	}
	b.kill()
	// Both when they happened, and not when this goroutine was told.
	down := await(t, "the break", lost)
	if pause := await(t, "the redial", dialled).Sub(down); pause < dialRules.Backoff.Pause(dialRules.CutFailures)/2 {
		t.Errorf("redialled %v after the connection was lost", pause)
	}

	back := start(t, 2, b.addr, Options{})
	for len(dialled) > 0 {
		<-dialled
	}
	back.tr.SetPeers([]election.Peer{a.peer(), back.peer()})
	await(t, "a's stream", a.up)
}

func TestWhoComesNearIsDialledByAndByOrWhenNeeded(t *testing.T) {
	for name, send := range map[string]bool{"nothing to send": false, "something to send": true} {
		at := dials(t, 1, silence, nil, func(tr *Transport) {
			p := listed(3, 1, "192.0.2.3:7400")
			p.Distant = true
			tr.SetPeers([]election.Peer{p})
			testwait.Virtual(time.Second)
			p.Distant = false
			tr.SetPeers([]election.Peer{p})
			if send {
				tr.Send(renew(1, 3, 1))
			}
			testwait.Virtual(time.Second)
		})
		early, later := within(at, time.Second, time.Second+durations.PeerNear/2), within(at, time.Second+durations.PeerNear/2, time.Second+2*durations.PeerNear)
		if send != (early > 0) || later == 0 {
			t.Errorf("%s: %d dials at once and %d by and by; all: %v", name, early, later, at)
		}
	}
}
