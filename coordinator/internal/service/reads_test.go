package service

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/mem"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/trust"
)

// Frames of HTTP/2 that belong to no call count nowhere, so a stranger's bytes do.
func TestStrangersAreReadFromAtABearablePace(t *testing.T) {
	most := limits.PiecesPerCall * limits.HostPerSecond
	synctest.Test(t, func(t *testing.T) {
		d := pacedDoor()
		d.clear = true
		defer d.close()
		lis := listenTCP(t)
		guestFrom := func(host string) *guest {
			_, c := tcpPair(t, lis)
			g := d.enter(c, stranger)
			d.cameFrom(g, netip.MustParseAddr(host))
			return g
		}
		// pieces asks for so many, and returns how long that takes.
		pieces := func(g *guest, n, want int) time.Duration {
			since := time.Now()
			for range n {
				if got := g.piece(1 << 20); got != want {
					t.Fatalf("a piece of %d bytes, want %d", got, want)
				}
			}
			return time.Since(since)
		}
		for _, host := range []string{"10.0.0.1", "10.0.0.2"} {
			g := guestFrom(host)
			if took := pieces(g, most, limits.Piece); took != 0 {
				t.Errorf("%s: the first second's pieces took %v", host, took)
			}
			if took := pieces(g, most, limits.Piece); took < time.Second || took > time.Second+durations.ReadAgain {
				t.Errorf("%s: as many again took %v", host, took)
			}
			// It turns out to be a member's while it waits.
			time.AfterFunc(durations.ReadAgain/2, func() { d.know(g) })
			if took := pieces(g, 1, limits.Piece); took > durations.ReadAgain {
				t.Errorf("%s: a member's connection was held up for %v", host, took)
			}
			if took := pieces(g, 10*most, 1<<20); took != 0 {
				t.Errorf("%s: a member's pieces took %v", host, took)
			}
		}
		for _, host := range []string{"10.0.0.9", "10.0.0.3"} { // this machine, and all strangers
			g := guestFrom(host)
			if took := pieces(g, most, limits.Piece); took != 0 {
				t.Errorf("%s: the pieces took %v", host, took)
			}
		}
		g := guestFrom("10.0.0.2")
		_ = g.Close()
		if took := pieces(g, 1, limits.Piece); took > durations.ReadAgain {
			t.Errorf("one that has left was held up for %v", took)
		}
	})
}

func TestAStrangersConnectionIsReadInPieces(t *testing.T) {
	for name, read := range map[string]func(*guest) int{
		"Read": func(g *guest) int {
			n, _ := g.Read(make([]byte, 8*limits.Piece))
			return n
		},
		"ReadOnReady": func(g *guest) int {
			_, n, _ := g.ReadOnReady(8*limits.Piece, mem.DefaultBufferPool())
			return n
		},
	} {
		d := pacedDoor()
		far, c := tcpPair(t, listenTCP(t))
		g := d.enter(c, stranger)
		g.paced.Store(true)
		if _, err := far.Write(make([]byte, 2*limits.Piece)); err != nil {
			t.Fatal(err)
		}
		if n := read(g); n == 0 || n > limits.Piece {
			t.Errorf("%s: %d bytes at once, want at most %d", name, n, limits.Piece)
		}
		d.close()
	}
}

// A handshake is not held up, since it may be a member's. It shows whose it is.
func TestTheHandshakeShowsWhoIsPaced(t *testing.T) {
	secret := trust.NewSecret()
	holder := func(role trust.Role) credentials.TransportCredentials {
		return trust.Minted([]trust.Secret{secret}, trust.Identity{Cluster: "c", Role: role, Name: "n"}).Credentials()
	}
	for _, role := range []trust.Role{trust.Member, trust.Operate, trust.Read} {
		d := pacedDoor()
		far, c := tcpPair(t, listenTCP(t))
		g := d.enter(c, stranger)
		if g.paced.Load() {
			t.Errorf("%s: paced before the handshake", role)
		}
		go func() { _, _, _ = holder(role).ClientHandshake(t.Context(), "", far) }()
		if _, _, err := (doorCredentials{holder(trust.Member), d}).ServerHandshake(g); err != nil {
			t.Fatal(err)
		}
		if got, want := g.paced.Load(), role != trust.Member; got != want {
			t.Errorf("%s: paced %v, want %v", role, got, want)
		}
		d.close()
	}
}
