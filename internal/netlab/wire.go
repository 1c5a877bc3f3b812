package netlab

import (
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
)

// cable joins a host to the switch of one network.
type cable struct {
	host    *Host
	network int
	port    string       // the name of its end at the switch
	link    netlink.Link // that end
	hostEnd int          // the interface index of the other one, on the host
	// What hangs at the bridge: link itself, or the impairment between.
	bridgePort netlink.Link
	impaired   *impairment
}

// Pull pulls all cables of the host: both ends lose the carrier, as real ones
// do.
func (l *Lab) Pull(h *Host) { l.t.Helper(); l.moveCables(h, false, "pull") }

// Plug plugs the host's cables in again.
func (l *Lab) Plug(h *Host) { l.t.Helper(); l.moveCables(h, true, "plug") }

// PullFrom pulls the host's cable to network k alone.
func (l *Lab) PullFrom(h *Host, k int) { l.t.Helper(); l.moveCable(h, k, false, "pull") }

// PlugInto plugs the host's cable to network k in again.
func (l *Lab) PlugInto(h *Host, k int) { l.t.Helper(); l.moveCable(h, k, true, "plug") }

func (l *Lab) moveCables(h *Host, in bool, verb string) {
	l.t.Helper()
	for k := range l.options.Networks {
		l.moveCable(h, k, in, verb)
	}
}

func (l *Lab) moveCable(h *Host, k int, in bool, verb string) {
	l.t.Helper()
	h.mustBeOn()
	if k < 0 || k >= len(h.cables) {
		l.t.Fatalf("netlab: %s %s: there is no network %d", verb, h, k)
	}
	if err := l.setCable(h.cables[k], in); err != nil {
		l.t.Fatalf("netlab: %s %s: %v", verb, h, err)
	}
}

// carrierWait bounds how long the kernel may take to tell both ends of a cable
// that it was pulled or plugged in, which it does in a work queue.
const carrierWait = 5 * time.Second

// setCable pulls a cable or plugs it in and waits until both ends know.
func (l *Lab) setCable(c *cable, in bool) error {
	set, word := l.links.LinkSetDown, "down"
	if in {
		set, word = l.links.LinkSetUp, "up"
	}
	if err := set(c.link); err != nil {
		return fmt.Errorf("set %s %s: %w", c.port, word, err)
	}
	for _, end := range []struct {
		links *netlink.Handle
		index int
	}{{l.links, c.link.Attrs().Index}, {c.host.links, c.hostEnd}} {
		for deadline := time.Now().Add(carrierWait); ; time.Sleep(time.Millisecond) {
			link, err := end.links.LinkByIndex(end.index)
			if err != nil {
				return fmt.Errorf("ask for the carrier: %w", err)
			}
			if (link.Attrs().OperState == netlink.OperUp) == in {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s of the cable %s is %v after %v, want %s", link.Attrs().Name, c.port, link.Attrs().OperState, carrierWait, word)
			}
		}
	}
	return nil
}
