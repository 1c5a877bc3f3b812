package hostaddr

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
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

// While the kernel keeps a look at the interfaces waiting, as it does while it changes
// one, the table answers with what it knows. It has the newest addresses when the kernel
// has answered.
func TestNobodyWaitsForTheKernel(t *testing.T) {
	old, recent := netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("10.1.2.4")
	answers := make(chan string, 1)
	answers <- "10.1.2.3/24"
	begun := make(chan struct{}, 2)
	table := &Table{list: func() ([]net.Addr, error) {
		begun <- struct{}{}
		machine := &interfaces{}
		machine.have.Store(<-answers)
		return machine.list()
	}}
	table.refresh(true)
	<-begun
	var looks sync.WaitGroup
	looks.Go(func() { table.refresh(true) })
	<-begun
	if !table.Has(old) || table.Has(recent) { // else it waits until the test runs out of time
		t.Error("while the kernel is asked the table does not answer what it knows")
	}
	looks.Go(func() { table.refresh(true) })
	<-begun
	answers <- "10.1.2.4/24"
	answers <- "10.1.2.4/24"
	looks.Wait()
	if !table.Has(recent) || table.Has(old) {
		t.Error("the table does not have the newest addresses")
	}
}
