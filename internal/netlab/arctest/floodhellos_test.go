package arctest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/limits"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
)

const (
	hellosPerSecond = 10_000
	// helloSources are more than a node tells apart.
	helloSources = limits.Sources + 100
)

// hellos sends bad hellos, every other one to all hosts. A flooder that is late
// catches up.
func (f *flooder) hellos(ctx context.Context) error {
	network := f.At.Addr().As4()
	network[3] = 255
	everybody := netip.AddrPortFrom(netip.AddrFrom4(network), f.At.Port())
	var sources []*net.UDPConn
	for range helloSources {
		c, err := net.ListenUDP("udp4", nil)
		if err != nil {
			return err
		}
		defer c.Close()
		sources = append(sources, c)
	}
	chance := rand.New(rand.NewPCG(1, 2))
	for began, n := time.Now(), int(f.For.Seconds()*hellosPerSecond); int(f.sent.Load()) < n; connect.Wait(ctx, time.Millisecond) {
		for due := min(n, int(time.Since(began).Seconds()*hellosPerSecond)); int(f.sent.Load()) < due; {
			i := int(f.sent.Add(1))
			to := f.At
			if i%2 == 0 {
				to = everybody
			}
			if _, err := sources[i%len(sources)].WriteToUDPAddrPort(f.badHello(i/2, chance), to); err != nil {
				return err
			}
		}
	}
	return nil
}

// badHello returns a hello that nobody should heed, of each kind in turn.
func (f *flooder) badHello(i int, chance *rand.Rand) []byte {
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(chance.Uint32())
		}
		return b
	}
	somebody := fmt.Sprintf("x%x", chance.Uint64())
	elsewhere := []string{fmt.Sprintf("10.77.0.%d:%d", chance.IntN(256), chance.IntN(1<<16))}
	hello := &discoveryv1.Hello{
		Cluster: "arc", Nonce: chance.Uint64() | 1, Attempt: 2,
		Node: &discoveryv1.Node{Name: somebody, Incarnation: chance.Uint64() | 1, Addresses: elsewhere},
	}
	switch i % 10 {
	case 0:
		return noise(chance.IntN(limits.Datagram))
	case 1: // one byte too long
		return slices.Concat([]byte("ARC1"), noise(limits.Datagram-3))
	case 2:
		return slices.Concat([]byte("ARC1"), noise(100))
	case 3: // an answer that nobody asked for
		return datagram(&discoveryv1.Datagram{Content: &discoveryv1.Datagram_Answer{Answer: mustMarshal(&discoveryv1.Answer{
			Cluster: "arc", Node: hello.Node, Echo: hello.Nonce, Ring: &discoveryv1.Ring{RingId: f.RingID, Leads: true},
		})}})
	case 4: // another cluster
		hello.Cluster = somebody
	case 5: // a name that nobody has, which asks
	case 6: // a ring that is not there
		hello.Ring = &discoveryv1.Ring{RingId: somebody, Leads: true}
	case 7: // in the leader's name
		hello.Node.Name = f.Leader
	case 8: // in a member's name, from elsewhere, and it claims to lead the ring
		hello.Node.Name, hello.Ring = f.Member, &discoveryv1.Ring{RingId: f.RingID, Leads: true}
	case 9: // one that wants to found a ring
		hello.Founding = &discoveryv1.Founding{Expect: 3}
	}
	return datagram(&discoveryv1.Datagram{Content: &discoveryv1.Datagram_Hello{Hello: mustMarshal(hello)}})
}

func datagram(d *discoveryv1.Datagram) []byte { return slices.Concat([]byte("ARC1"), mustMarshal(d)) }

func mustMarshal(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err) // a message of ours has only strings of ours
	}
	return b
}
