package discovery

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/internal/limits"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
)

func sampleHello() *discoveryv1.Hello {
	return &discoveryv1.Hello{
		Cluster: "c", Node: &discoveryv1.Node{Name: "a", Incarnation: 1, Addresses: []string{"10.0.0.1:7400"}, Classes: []string{"db"}},
		Ring:  &discoveryv1.Ring{RingId: "r1", Leader: "l", LeaderAddresses: []string{"10.0.0.2:7400"}},
		Nonce: 5, Attempt: 2, Founding: &discoveryv1.Founding{Expect: 3, Accepted: "l", AcceptedIncarnation: 9},
	}
}

func sampleAnswer() *discoveryv1.Answer {
	h := sampleHello()
	return &discoveryv1.Answer{Cluster: h.Cluster, Node: h.Node, Ring: h.Ring, Echo: 5, Founding: h.Founding, Heard: []string{"x", "y"}}
}

// unpack opens and decodes in the clear.
func unpack(b []byte) (*discoveryv1.Hello, *discoveryv1.Answer, error) {
	b, err := seals(nil).open(b)
	if err != nil {
		return nil, nil, err
	}
	return decode(b, false)
}

func TestDatagramsComeBackAsTheyWere(t *testing.T) {
	b, err := encode(sampleHello(), bareMost)
	if err != nil {
		t.Fatal(err)
	}
	if h, a, err := unpack(b); err != nil || a != nil || !proto.Equal(h, sampleHello()) {
		t.Errorf("got %v, %v, %v", h, a, err)
	}
	if b, err = encode(sampleAnswer(), bareMost); err != nil {
		t.Fatal(err)
	}
	if h, a, err := unpack(b); err != nil || h != nil || !proto.Equal(a, sampleAnswer()) {
		t.Errorf("got %v, %v, %v", h, a, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	hello := func(change func(*discoveryv1.Hello)) []byte {
		h := sampleHello()
		change(h)
		b, err := encode(h, bareMost)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	answer := func(change func(*discoveryv1.Answer)) []byte {
		a := sampleAnswer()
		change(a)
		b, err := encode(a, bareMost)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	whole := hello(func(*discoveryv1.Hello) {})
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"nothing", nil},
		{"magic alone", []byte(magic)},
		{"another magic", append([]byte("ARC2"), whole[4:]...)},
		{"cut short", whole[:len(whole)-1]},
		{"too long", append(whole, make([]byte, limits.Datagram)...)},
		{"no cluster", hello(func(h *discoveryv1.Hello) { h.Cluster = "" })},
		{"no node", hello(func(h *discoveryv1.Hello) { h.Node = nil })},
		{"no name", hello(func(h *discoveryv1.Hello) { h.Node.Name = "" })},
		{"line break in the name", hello(func(h *discoveryv1.Hello) { h.Node.Name = "a\nb" })},
		{"long name", hello(func(h *discoveryv1.Hello) { h.Node.Name = strings.Repeat("a", limits.Name+1) })},
		{"no incarnation", hello(func(h *discoveryv1.Hello) { h.Node.Incarnation = 0 })},
		{"no address", hello(func(h *discoveryv1.Hello) { h.Node.Addresses = nil })},
		{"address without port", hello(func(h *discoveryv1.Hello) { h.Node.Addresses = []string{"10.0.0.1"} })},
		{"port 0", hello(func(h *discoveryv1.Hello) { h.Node.Addresses = []string{"10.0.0.1:0"} })},
		{"named port", hello(func(h *discoveryv1.Hello) { h.Node.Addresses = []string{"10.0.0.1:http"} })},
		{"no host", hello(func(h *discoveryv1.Hello) { h.Node.Addresses = []string{":7400"} })},
		{"a host that no name server knows", hello(func(h *discoveryv1.Hello) { h.Node.Addresses = []string{"unix/arc.sock:1"} })},
		{"a zone that no interface has", hello(func(h *discoveryv1.Hello) { h.Node.Addresses = []string{"[fe80::1%a/b]:1"} })},
		{"many addresses", hello(func(h *discoveryv1.Hello) { h.Node.Addresses = slicesOf(limits.Addresses+1, "h:1") })},
		{"many classes", hello(func(h *discoveryv1.Hello) { h.Node.Classes = slicesOf(limits.Classes+1, "c") })},
		{"empty class", hello(func(h *discoveryv1.Hello) { h.Node.Classes = []string{""} })},
		{"ring without id", hello(func(h *discoveryv1.Hello) { h.Ring.RingId = "" })},
		{"bad leader", hello(func(h *discoveryv1.Hello) { h.Ring.Leader = "a b" })},
		{"bad leader address", hello(func(h *discoveryv1.Hello) { h.Ring.LeaderAddresses = []string{"x"} })},
		{"expects too many", hello(func(h *discoveryv1.Hello) { h.Founding.Expect = limits.Founders + 1 })},
		{"bad founder", hello(func(h *discoveryv1.Hello) { h.Founding.Accepted = "\x00" })},
		{"no nonce", hello(func(h *discoveryv1.Hello) { h.Nonce = 0 })},
		{"no echo", answer(func(a *discoveryv1.Answer) { a.Echo = 0 })},
		{"bad heard name", answer(func(a *discoveryv1.Answer) { a.Heard = []string{"\u2028"} })},
		{"many heard names", answer(func(a *discoveryv1.Answer) { a.Heard = slicesOf(limits.Heard+1, "n") })},
	} {
		t.Run(c.name, func(t *testing.T) {
			if h, a, err := unpack(c.b); !errors.Is(err, ErrMalformed) {
				t.Errorf("got %v, %v, %v, want ErrMalformed", h, a, err)
			}
		})
	}
}

// What is at a bound, and not over it, is taken.
func TestDecodeTakesWhatIsAtABound(t *testing.T) {
	for name, change := range map[string]func(h *discoveryv1.Hello){
		"name":      func(h *discoveryv1.Hello) { h.Node.Name = strings.Repeat("a", limits.Name) },
		"addresses": func(h *discoveryv1.Hello) { h.Node.Addresses = slicesOf(limits.Addresses, "h:1") },
		"classes":   func(h *discoveryv1.Hello) { h.Node.Classes = slicesOf(limits.Classes, "c") },
		"founders":  func(h *discoveryv1.Hello) { h.Founding.Expect = limits.Founders },
	} {
		h := sampleHello()
		change(h)
		b, err := encode(h, bareMost)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := unpack(b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	a := sampleAnswer()
	a.Heard = slicesOf(limits.Heard, "n")
	b, err := encode(a, bareMost)
	if err != nil {
		t.Fatal(err)
	}
	if _, got, err := unpack(b); err != nil || len(got.Heard) != limits.Heard {
		t.Errorf("%d heard names, %v", len(got.GetHeard()), err)
	}
	// An unknown field, as of a later version, fills the datagram.
	unknown := func(b []byte, to int) []byte {
		field := func(n int) []byte {
			return protowire.AppendBytes(protowire.AppendTag(slices.Clone(b), 100, protowire.BytesType), make([]byte, n))
		}
		n := to - len(field(0))
		return field(n - (len(field(n)) - to))
	}
	if b, err = encode(sampleHello(), bareMost); err != nil {
		t.Fatal(err)
	}
	for size, good := range map[int]bool{limits.Datagram: true, limits.Datagram + 1: false} {
		d := unknown(b, size)
		if _, _, err := unpack(d); len(d) != size || (err == nil) != good {
			t.Errorf("%d bytes: %v", len(d), err)
		}
	}
}

func slicesOf(n int, s string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = s
	}
	return out
}

// What does not fit is left out: heard names, then addresses of the leader.
func TestLongAnswersAreCut(t *testing.T) {
	a := sampleAnswer()
	a.Heard = nil
	for i := range limits.Heard {
		a.Heard = append(a.Heard, fmt.Sprintf("node-with-a-long-name-%03d", i))
	}
	a.Ring.LeaderAddresses = nil
	for i := range limits.Addresses {
		a.Ring.LeaderAddresses = append(a.Ring.LeaderAddresses, fmt.Sprintf("%s-%02d:7400", strings.Repeat("x", 90), i))
	}
	b, err := encode(a, bareMost)
	if err != nil {
		t.Fatal(err)
	}
	_, got, err := unpack(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Heard) != 0 || len(got.Ring.LeaderAddresses) == 0 || len(got.Ring.LeaderAddresses) == limits.Addresses {
		t.Errorf("%d heard names and %d addresses are left", len(got.Heard), len(got.Ring.LeaderAddresses))
	}
	h := sampleHello()
	h.Node.Addresses = slicesOf(limits.Addresses, strings.Repeat("x", 200)+":1")
	if _, err := encode(h, bareMost); err == nil || !strings.Contains(err.Error(), "fewer addresses") {
		t.Errorf("a node that does not fit: %v", err)
	}
}

func TestOnlyAddressesThatFitAreAdvertised(t *testing.T) {
	o := deaf(Options{Cluster: "c", Name: "a", Incarnation: 1, Port: 1})
	for i := range 40 {
		o.Addresses = append(o.Addresses, fmt.Sprintf("[2001:db8:1111:2222:3333:4444:5555:%04x]:7400", i))
	}
	if err := o.validate(); err != nil {
		t.Fatal(err)
	}
	if n := len(o.node().Addresses); n < 8 || n > limits.Addresses {
		t.Errorf("%d addresses advertised", n)
	}
}

// Whatever decodes keeps the bounds, encodes again to the same, and does no
// harm to a core that is searching, asking, or in a ring.
func FuzzDecode(f *testing.F) {
	for _, h := range []*discoveryv1.Hello{sampleHello(), {Cluster: "c", Node: peer("b", 1), Nonce: 1}} {
		b, err := encode(h, bareMost)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	b, err := encode(sampleAnswer(), bareMost)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, a, err := unpack(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, errSealed) || h != nil || a != nil {
				t.Fatalf("got %v, %v, %v", h, a, err)
			}
			return
		}
		if (h == nil) == (a == nil) {
			t.Fatalf("got %v and %v", h, a)
		}
		from := netip.MustParseAddrPort("10.0.0.1:5000")
		for _, ring := range []string{"", "r1"} {
			now := time.Unix(1_700_000_000, 0)
			seq := uint64(0)
			c := newCore(now, "c", &discoveryv1.Node{Name: "a", Incarnation: 2, Addresses: []string{"a:1"}}, 2, func() uint64 { seq++; return seq })
			c.setRing(now, &discoveryv1.Ring{RingId: ring, Leads: true})
			c.startSeek(now)
			if h != nil {
				c.cluster = h.Cluster
				c.hello(now, arrival{from, len(b), now}, h)
				c.hello(now.Add(time.Second), arrival{from, len(b), now}, h)
			} else {
				c.cluster, c.nonces[0].value = a.Cluster, a.Echo
				c.answered(now, arrival{from, len(b), now}, a)
			}
			if next := c.next(); next.Before(now) {
				t.Fatalf("next %s is before now", next)
			}
		}
		if h != nil {
			again, err := encode(proto.Clone(h).(*discoveryv1.Hello), bareMost)
			if err != nil {
				t.Fatal(err)
			}
			if h2, _, err := unpack(again); err != nil || !proto.Equal(h, h2) {
				t.Fatalf("%v became %v, %v", h, h2, err)
			}
			return
		}
		again, err := encode(proto.Clone(a).(*discoveryv1.Answer), bareMost)
		if err != nil {
			t.Fatal(err)
		}
		if _, a2, err := unpack(again); err != nil || !proto.Equal(a, a2) {
			t.Fatalf("%v became %v, %v", a, a2, err)
		}
	})
}
