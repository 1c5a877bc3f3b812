package coordinator

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/arc-ring/arc/coordinator/internal/reason"
)

func addrs(list string) (out []netip.Addr) {
	for a := range strings.SplitSeq(list, ",") {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

func TestCheckBind(t *testing.T) {
	for list, want := range map[string]string{
		"127.0.0.1":           "",
		"10.0.0.1,10.0.0.2":   "",
		"10.0.0.1,fd00::1":    "",
		"0.0.0.0,fd00::1":     "",
		"::":                  "",
		"127.0.0.1,127.0.0.1": "--bind has 127.0.0.1 twice",
		"::1,10.0.0.1,::1":    "--bind has ::1 twice",
		"0.0.0.0,0.0.0.0":     "--bind has 0.0.0.0 twice",
		"0.0.0.0,127.0.0.1":   "--bind has 0.0.0.0, which stands for 127.0.0.1 too: give one of them",
		"127.0.0.1,0.0.0.0":   "--bind has 0.0.0.0, which stands for 127.0.0.1 too: give one of them",
		"::,10.0.0.1":         "--bind has ::, which stands for 10.0.0.1 too: give one of them",
		"fd00::1,::":          "--bind has ::, which stands for fd00::1 too: give one of them",
		"0.0.0.0,::":          "--bind has ::, which stands for 0.0.0.0 too: give one of them",
		"224.0.0.1":           "--bind 224.0.0.1 is a multicast address, to which nobody can connect",
		"ff02::1%lo":          "--bind ff02::1%lo is a multicast address, to which nobody can connect",
		"0.0.0.0,224.0.0.1":   "--bind 224.0.0.1 is a multicast address, to which nobody can connect",
		"255.255.255.255":     "--bind 255.255.255.255 is a broadcast address, to which nobody can connect",
	} {
		o := testOptions(t, "n1")
		o.Bootstrap, o.Insecure, o.Bind = true, true, addrs(list)
		got := ""
		if err := o.Validate(); err != nil {
			got = strings.TrimPrefix(err.Error(), reason.ErrUsage.Error()+": ")
		}
		if got != want {
			t.Errorf("%s: %q, want %q", list, got, want)
		}
	}
}

// The kernel lets a socket listen at the broadcast address of a network, here of
// the loopback's. Nobody reaches it there.
func TestABroadcastAddressIsRefused(t *testing.T) {
	o := testOptions(t, "n1")
	o.Bootstrap, o.Bind = true, addrs("127.255.255.255")
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // or one that is taken would run
	if err := Run(ctx, o); !errors.Is(err, reason.ErrUsage) || !strings.Contains(err.Error(), "127.255.255.255 is a broadcast address") {
		t.Errorf("got %v, want a usage error", err)
	}
	if _, err := os.Stat(o.DataDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the data directory was made: %v", err)
	}
}
