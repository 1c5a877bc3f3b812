package hostaddr

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/testwait"
)

// interfaces are a machine's addresses, and how often they were looked at.
type interfaces struct {
	have  atomic.Value // string
	looks atomic.Int32
	fail  atomic.Bool
}

func (i *interfaces) list() ([]net.Addr, error) {
	i.looks.Add(1)
	if i.fail.Load() {
		return nil, errors.New("no buffer space")
	}
	ip, subnet, err := net.ParseCIDR(i.have.Load().(string))
	if err != nil {
		return nil, err
	}
	subnet.IP = ip
	return []net.Addr{subnet}, nil
}

// A watched table costs nothing when it is asked, and knows a change as soon as
// the watch tells of it.
func TestAWatchedTableLooksOncePerChange(t *testing.T) {
	machine := &interfaces{}
	machine.have.Store("10.1.2.3/24")
	table := &Table{list: machine.list}
	notices, kernel, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.Close()
	ctx, cancel := context.WithCancel(t.Context())
	told, over := make(chan bool, 1), make(chan struct{})
	go func() {
		defer close(over)
		table.follow(ctx, notices, func() { told <- table.Has(netip.MustParseAddr("10.1.2.4")) })
	}()
	machine.have.Store("10.1.2.4/24")
	if _, err := kernel.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if !<-told {
		t.Error("the table does not know an address of which the watch has just told")
	}
	table.mu.Lock()
	table.read = table.read.Add(-time.Hour)
	table.mu.Unlock()
	looks := machine.looks.Load()
	if !table.Has(netip.MustParseAddr("10.1.2.4")) || machine.looks.Load() != looks {
		t.Errorf("an hour without a notice: it looked %d times more, want 0", machine.looks.Load()-looks)
	}
	cancel()
	<-over
	if table.Has(netip.MustParseAddr("10.1.2.4")); machine.looks.Load() != looks+1 {
		t.Errorf("without a watch it looked %d times more, want 1", machine.looks.Load()-looks)
	}
}

// A look that fails is repeated, watched or not: no notice comes for that.
func TestAFailedLookIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		machine := &interfaces{}
		machine.have.Store("10.1.2.3/24")
		machine.fail.Store(true)
		table := &Table{list: machine.list}
		table.refresh(true)
		machine.fail.Store(false)
		testwait.Virtual(durations.AddressesFresh)
		if !table.Has(netip.MustParseAddr("10.1.2.3")) {
			t.Error("it does not know the address a second after a look that failed")
		}
	})
}

func TestBroadcastOf(t *testing.T) {
	for network, want := range map[string]string{
		"127.0.0.1/8": "127.255.255.255", "10.1.2.3/24": "10.1.2.255", "10.1.2.3/20": "10.1.15.255", "10.1.2.3/30": "10.1.2.3",
		"10.1.2.3/31": "255.255.255.255", "10.1.2.3/32": "255.255.255.255", "10.1.2.3/0": "255.255.255.255",
	} {
		if got := BroadcastOf(netip.MustParsePrefix(network)); got.String() != want {
			t.Errorf("%s: %s, want %s", network, got, want)
		}
	}
}
