package service

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/testwait"
)

// A flood from many addresses keeps a stranger out. A joiner, whose hello was believed,
// has an account of its own as a member has.
func TestAFloodKeepsNoJoinerOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		joiner, operator := netip.MustParseAddr("10.0.0.3"), netip.MustParseAddr("10.0.0.4")
		d := pacedDoor()
		d.heard = func(a netip.Addr) bool { return a == joiner }
		in := map[netip.Addr]int{}
		const tries = 100
		for i := range tries {
			for k := range 200 { // 20,000 a second, from a thousand addresses
				host := [4]byte{11}
				binary.BigEndian.PutUint16(host[2:], uint16((200*i+k)%1000))
				d.admits(netip.AddrFrom4(host))
			}
			for _, host := range []netip.Addr{joiner, operator} {
				if d.admits(host) {
					in[host]++
				}
			}
			testwait.Virtual(10 * time.Millisecond)
		}
		if in[joiner] < min(tries, limits.HostPerSecond) {
			t.Errorf("of %d tries of a joiner %d were let in", tries, in[joiner])
		}
		if in[operator] > tries/10 {
			t.Errorf("of %d tries of somebody unknown %d were let in: the flood is none", tries, in[operator])
		}
	})
}
