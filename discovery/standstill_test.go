package discovery

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/durations"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
)

func cluster(name string) change { return func(h *discoveryv1.Hello) { h.Cluster = name } }

func TestStandstill(t *testing.T) {
	const other = `another cluster is heard here: "arc" (x at 10.0.0.120); if this node belongs there, check --cluster`
	for _, c := range []struct {
		name, self string
		expect     int
		do         func(b *bench)
		want       string
	}{
		{"nobody", "a", 3, func(*bench) {}, "heard 1 of 3 names: a"},
		{"one of them", "a", 3, func(b *bench) { b.hears("b") }, "heard 2 of 3 names: a, b"},
		{"another founds", "c", 3, func(b *bench) { b.hears("a"); b.hears("b") },
			"heard 3 of 3 names: c, a, b; waiting for a to found, the lowest of 3 names that is no witness"},
		{"one does not accept", "a", 2, func(b *bench) { b.hears("b") }, "heard 2 of 2 names: a, b; b did not accept this founder yet: no answer"},
		{"another cluster", "a", 3, func(b *bench) { b.hears("x", cluster("arc")) }, "heard 1 of 3 names: a; " + other},
		{"another cluster, to a joiner", "a", 0, func(b *bench) { b.hears("x", cluster("arc")) }, "no other node of cluster c is heard; " + other},
		{"nobody, for a while", "a", 3, func(b *bench) { b.after(durations.AdviceAfter) }, "heard 1 of 3 names: a; start all 3 nodes with --cluster c --expect 3"},
		{"all are heard, for a while", "a", 2, func(b *bench) { b.after(durations.AdviceAfter); b.hears("b") }, "heard 2 of 2 names: a, b; b did not accept this founder yet: no answer"},
		{"others hear more", "a", 3, func(b *bench) { b.heard.told(b.now, "a", []string{"z"}) }, "heard 1 of 3 names: a; others hear z, this node does not"},
		{"nobody, to a joiner", "a", 0, func(b *bench) {}, "no other node of cluster c is heard"},
		{"nobody, to a joiner, for a while", "a", 0, func(b *bench) { b.after(durations.AdviceAfter) },
			"no other node of cluster c is heard; start one node with --bootstrap, or all with --expect N, or name a member with --join HOST:PORT"},
		{"another joiner", "a", 0, func(b *bench) { b.hears("b") }, "no ring of cluster c answers, heard are b"},
		{"nobody of a former ring", "a", 3, func(b *bench) { b.setRing(b.now, &discoveryv1.Ring{RingId: "r"}); b.after(durations.AdviceAfter) }, ""},
		{"another cluster, long ago", "a", 3, func(b *bench) { b.hears("x", cluster("arc")); b.after(durations.RingPresent + time.Second) }, "heard 1 of 3 names: a; start all 3 nodes with --cluster c --expect 3"},
		{"no search", "a", 3, func(b *bench) { b.stopSeek(b.now) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.self, c.expect)
			b.startSeek(b.now)
			c.do(b)
			if got := b.standstill(b.now); got != c.want {
				t.Errorf("says %q, want %q", got, c.want)
			}
		})
	}
}

func TestTheAdviceNamesOtherClusters(t *testing.T) {
	b := newBench(t, "a", 3)
	b.startSeek(b.now)
	b.hears("x", cluster("arc"))
	for _, n := range of[note](b.after(durations.AdviceAfter + time.Second)) {
		if n.level == hclog.Warn && strings.Contains(fmt.Sprint(n.args...), `"arc" (x at 10.0.0.120)`) {
			return
		}
	}
	t.Error("the log does not name it")
}

func TestOtherClustersAreBounded(t *testing.T) {
	b := newBench(t, "a", 3)
	for i := range 10 * clustersMost {
		b.hears("x", cluster(fmt.Sprint("forged", i)))
	}
	if n := len(b.clusters); n != clustersMost {
		t.Errorf("%d are remembered, want %d", n, clustersMost)
	}
	b.now = b.now.Add(durations.RingPresent + time.Second)
	b.hears("x", cluster("arc"))
	if all := b.otherClusters(b.now); len(all) != 1 || len(b.clusters) != 1 {
		t.Errorf("remembered are %v, want one when the others are silent", all)
	}
}

func TestAnInterfaceThatJustCameUpIsNotWarnedOf(t *testing.T) {
	write := func(e error) error {
		return &net.OpError{Op: "write", Net: "udp6", Err: os.NewSyscallError("sendmsg", e)}
	}
	began := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		name  string
		err   error
		first time.Duration // when it is warned of
		hint  string
	}{
		{"no usable address", write(unix.EADDRNOTAVAIL), durations.InterfaceUsable, "duplicate"},
		{"an address that is not usable yet", write(unix.EINVAL), durations.InterfaceUsable, "duplicate"},
		{"forbidden", write(unix.EPERM), 0, "firewall"},
		{"something else", errors.New("odd"), 0, "firewall"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &failure{since: began}
			var said []time.Duration
			for at := time.Duration(0); at < 4*durations.InterfaceUsable; at += 500 * time.Millisecond {
				if hint, yes := f.warns(began.Add(at), c.err); yes {
					said = append(said, at)
					if !strings.Contains(hint, c.hint) {
						t.Errorf("the hint %q lacks %q", hint, c.hint)
					}
				}
			}
			if len(said) != 1 || said[0] != c.first {
				t.Errorf("warned at %v, want once at %v", said, c.first)
			}
		})
	}
}
