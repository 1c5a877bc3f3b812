package coordinator

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/trust"
)

// Each host whose connections are refused is told of once. With one more than are told
// apart all are forgotten.
func TestRefusedHostsAreToldOfOnce(t *testing.T) {
	warned := 0
	r := &refusals{log: countWarnings{hclog.NewNullLogger(), &warned}, known: map[refusedHost]bool{}}
	told := func(i int) {
		host := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		r.told(net.TCPAddrFromAddrPort(netip.AddrPortFrom(host, 1)), trust.ErrClear)
	}
	for range 2 {
		for i := range limits.Refusals {
			told(i)
		}
	}
	if warned != limits.Refusals || len(r.known) != limits.Refusals {
		t.Errorf("%d warnings of %d hosts, %d remembered", warned, limits.Refusals, len(r.known))
	}
	if told(limits.Refusals); warned != limits.Refusals+1 || len(r.known) != 1 {
		t.Errorf("with one host more %d warnings, %d remembered", warned, len(r.known))
	}
}

// A node that goes without a secret says so, and names a secret file that is here.
func TestInsecureIsSaidAtTheStart(t *testing.T) {
	for unused, want := range map[string]int{"": 1, "/home/u/.config/arc/secret": 2} {
		var out bytes.Buffer
		n := &node{o: Options{Insecure: true, UnusedSecret: unused}, log: hclog.New(&hclog.LoggerOptions{Output: &out, Level: hclog.Warn})}
		n.helloKeys()
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if last := lines[len(lines)-1]; len(lines) != want || unused != "" && (!strings.HasSuffix(last, "file="+unused) || !strings.Contains(last, "start without --insecure")) {
			t.Errorf("with %q here: %q", unused, lines)
		}
	}
}

// countWarnings counts the lines at Warn.
type countWarnings struct {
	hclog.Logger
	warned *int
}

func (c countWarnings) Warn(string, ...any) { *c.warned++ }
