package discovery

import (
	"net/netip"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/trust"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
)

// What a datagram costs that comes in, after the kernel: strangers may send thousands a
// second.
func BenchmarkArrival(b *testing.B) {
	h, sealed := sealedSample(b)
	other := seals(func() trust.Seals { return sealsOf("c", 9) })
	bare, err := encode(h, bareMost)
	if err != nil {
		b.Fatal(err)
	}
	from := source("a")
	for _, secrets := range [][]byte{{1}, {8, 7, 6, 5, 4, 3, 2, 1}} {
		all := sealsOf("c", secrets...)
		house := newHouse(b)
		s := house.start("x", func(o *Options) { o.Seals = func() trust.Seals { return all } })
		s.SetRing(&discoveryv1.Ring{RingId: "r1", Leads: true})
		name := map[int]string{1: "one secret", 8: "eight secrets"}[len(secrets)]
		for what, datagram := range map[string][]byte{
			"noise": make([]byte, 1200), "no seal": bare, "another seal": other.seal(append([]byte{}, bare...)), "replay": sealed,
		} {
			b.Run(name+"/"+what, func(b *testing.B) {
				for b.Loop() {
					s.datagram(datagram, from, true)
				}
			})
		}
		b.Run(name+"/another seal, forged hosts", func(b *testing.B) {
			forged := other.seal(append([]byte{}, bare...))
			for i := 0; b.Loop(); i++ {
				s.datagram(forged, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1), true)
			}
		})
		b.Run(name+"/good", func(b *testing.B) {
			for i := uint64(1); b.Loop(); i++ {
				b.StopTimer()
				h := sampleHello()
				h.Stamp = &discoveryv1.Stamp{Number: i}
				now := time.Now()
				leaves(h.Stamp, now, now, now, from)
				opened, err := encode(h, bareMost)
				if err != nil {
					b.Fatal(err)
				}
				datagram := seals(s.seals).seal(opened)
				b.StartTimer()
				s.datagram(datagram, from, true)
			}
		})
	}
}
