package discovery

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/trust"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
)

// testSeals are those of the tests' cluster, c.
func testSeals() trust.Seals { return testSecret }

var testSecret = sealsOf("c", 1)

// sealsOf are the seals of a cluster with secrets that begin with the given bytes.
func sealsOf(cluster string, secrets ...byte) trust.Seals {
	var lines strings.Builder
	for _, first := range secrets {
		fmt.Fprintf(&lines, "%02x%062x\n", first, 0)
	}
	all, err := trust.ParseSecrets(lines.String())
	if err != nil {
		panic(err)
	}
	return trust.Minted(all, trust.Identity{Cluster: cluster, Role: trust.Member, Name: "a"}).Seals()
}

// sealedSample is sampleHello as it leaves with a seal.
func sealedSample(t testing.TB) (*discoveryv1.Hello, []byte) {
	h := sampleHello()
	h.Stamp = &discoveryv1.Stamp{Number: 1}
	now := time.Unix(1_700_000_000, 0)
	leaves(h.Stamp, now, now, now, source("a"))
	b, err := encode(h, bareMost)
	if err != nil {
		t.Fatal(err)
	}
	return h, seals(testSeals).seal(b)
}

func TestOpenTellsWhyNot(t *testing.T) {
	_, sealed := sealedSample(t)
	bare, err := encode(sampleHello(), bareMost)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(sealed)
	flipped[40] ^= 1
	for _, c := range []struct {
		name  string
		seals func() trust.Seals
		b     []byte
		want  error
	}{
		{"sealed", testSeals, sealed, nil},
		{"sealed with the second secret", func() trust.Seals { return sealsOf("c", 2, 1) }, sealed, nil},
		{"in the clear", nil, bare, nil},
		{"without a seal", testSeals, bare, errNoSeal},
		{"with the seal of another secret", func() trust.Seals { return sealsOf("c", 2) }, sealed, errOtherSeal},
		{"with the seal of another cluster", func() trust.Seals { return sealsOf("d", 1) }, sealed, errOtherSeal},
		{"changed", testSeals, flipped, errOtherSeal},
		{"cut short", testSeals, sealed[:len(sealed)-1], errNoSeal},
		{"seal alone", testSeals, sealed[len(sealed)-18:], ErrMalformed},
		{"magic and seal", testSeals, append([]byte(magic), sealed[len(sealed)-18:]...), errOtherSeal},
		{"nothing", testSeals, nil, ErrMalformed},
		{"magic alone", testSeals, []byte(magic), errNoSeal},
		{"too long", testSeals, make([]byte, limits.Datagram+1), ErrMalformed},
		{"sealed, for one without a secret", nil, sealed, errSealed},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := seals(c.seals).open(c.b)
			if err == nil {
				_, _, err = decode(b, c.seals != nil)
			}
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// A sealed datagram has to have a stamp.
func TestSealedContentNeedsAStamp(t *testing.T) {
	for what, s := range map[string]*discoveryv1.Stamp{
		"none": nil, "no number": {SentAt: 1}, "a source of five bytes": {Number: 1, Source: make([]byte, 5)},
	} {
		h, a := sampleHello(), sampleAnswer()
		h.Stamp, a.Stamp = s, s
		for _, c := range []content{h, a} {
			b, err := encode(c, bareMost)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := decode(b, true); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: %s: got %v, want ErrMalformed", kind(c), what, err)
			}
		}
	}
}

// A datagram of this version is read by all later ones. The file was written once.
func TestTheSealedWireStays(t *testing.T) {
	text, err := os.ReadFile("testdata/sealed-hello.hex")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	want, now := sealedSample(t)
	if len(now) != limits.Datagram {
		t.Errorf("a hello that asks has %d bytes with its seal, want %d", len(now), limits.Datagram)
	}
	b, err := seals(testSeals).open(kept)
	if err != nil {
		t.Fatal(err)
	}
	if h, _, err := decode(b, true); err != nil || !proto.Equal(h, want) {
		t.Errorf("the file's hello is %v, %v; want %v", h, err, want)
	}
	// A reader of version 1 sees a field that it does not know.
	if h, _, err := decode(kept, false); !errors.Is(err, errSealed) {
		t.Errorf("in the clear it is %v, %v", h, err)
	}
}

// drawn are up to n names of up to so many bytes.
func drawn(rng *rand.Rand, n, bytes int) (all []string) {
	for range rng.IntN(n + 1) {
		all = append(all, strings.Repeat("x", 1+rng.IntN(bytes)))
	}
	return all
}

func addressesOf(rng *rand.Rand) (all []string) {
	for _, host := range drawn(rng, limits.Addresses, 60) {
		all = append(all, host+":7400")
	}
	return append(all, "h:1")[:min(len(all)+1, limits.Addresses)]
}

// Whatever a hello says, and however short its sender leaves it: no answer to it is
// longer, with its seal or in the clear.
func TestNoAnswerIsLongerThanItsQuestion(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	sent, none := 0, 0
	for range 3000 {
		s := seals(nil)
		b := newBench(t, strings.Repeat("a", 1+rng.IntN(limits.Name)), rng.IntN(4))
		if rng.IntN(2) == 0 {
			s = testSeals
			b.senders = newSenders(b.now)
		}
		b.core.self.Addresses = addressesOf(rng)
		switch rng.IntN(3) {
		case 0:
			b.startSeek(b.now)
		case 1:
			b.setRing(b.now, &discoveryv1.Ring{RingId: "r1", Leads: true})
		case 2:
			b.setRing(b.now, &discoveryv1.Ring{RingId: "r1", Leader: strings.Repeat("l", 1+rng.IntN(100)), LeaderAddresses: addressesOf(rng)})
		}
		for i, name := range drawn(rng, 60, limits.Name-1) {
			b.heard.byName[name] = &heard{node: peer(name, uint64(i)), since: b.now, last: b.now}
		}
		h := &discoveryv1.Hello{Cluster: "c", Node: peer("j", 1), Nonce: rng.Uint64() | 1, Attempt: rng.Uint32N(3), Founding: &discoveryv1.Founding{Expect: uint32(b.expect)}}
		h.Node.Addresses, h.Node.Classes = addressesOf(rng), drawn(rng, 8, 10)
		if s != nil {
			h.Stamp = &discoveryv1.Stamp{Number: 1}
			leaves(h.Stamp, b.now, b.now, b.now, source("j"))
		}
		// Others may not pad.
		question, err := encode(h, len(magic)+rng.IntN(bareMost))
		if err != nil {
			question, err = encode(h, bareMost)
		}
		if err != nil {
			continue
		}
		asked := len(s.seal(bytes.Clone(question)))
		out := b.effects(func() { b.core.hello(b.now, arrival{source("j"), len(question), b.now}, h) })
		for _, e := range of[sendAnswer](out) {
			answer, err := encode(e.answer, e.most)
			if err != nil {
				none++
				continue
			}
			if n := len(s.seal(answer)); n > asked {
				t.Fatalf("an answer of %d bytes to a question of %d", n, asked)
			}
			sent++
		}
	}
	if t.Logf("%d answers, %d did not fit", sent, none); sent < 500 || none < 50 {
		t.Errorf("%d answers and %d that did not fit: this shows too little", sent, none)
	}
}

// Nothing opens that was not sealed with a key of the cluster. What a holder of the
// secret seals is decoded like anything else, and does a core no harm.
func FuzzOpen(f *testing.F) {
	_, sealed := sealedSample(f)
	f.Add(sealed)
	f.Add(sealed[:len(sealed)-18])
	a := sampleAnswer()
	a.Stamp = &discoveryv1.Stamp{Number: 1, SentAt: 1_700_000_000e6}
	b, err := encode(a, bareMost)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := seals(testSeals)
		if got, err := s.open(b); err == nil {
			if again := s.seal(bytes.Clone(got)); !bytes.Equal(again, b) {
				t.Fatalf("%x opens and is not what is sealed", b)
			}
		}
		if !bytes.HasPrefix(b, []byte(magic)) || len(b) > bareMost {
			return
		}
		opened, err := s.open(s.seal(bytes.Clone(b)))
		if err != nil || !bytes.Equal(opened, b) {
			t.Fatalf("sealed and opened, %x is %x, %v", b, opened, err)
		}
		h, a, err := decode(opened, true)
		if err != nil {
			return
		}
		now := time.Unix(1_700_000_000, 0)
		seq := uint64(0)
		c := newCore(now, "c", &discoveryv1.Node{Name: "a", Incarnation: 2, Addresses: []string{"a:1"}}, 2, func() uint64 { seq++; return seq })
		c.senders = newSenders(now)
		c.startSeek(now)
		at := arrival{netip.MustParseAddrPort("10.0.0.97:5000"), len(opened), now}
		if h != nil {
			c.cluster = h.Cluster
			c.hello(now, at, h)
			c.take()
			if c.hello(now, at, h); len(c.out) > 0 {
				t.Fatalf("%v has effects the second time: %+v", h, c.out)
			}
			return
		}
		c.cluster, c.nonces[0].value = a.Cluster, a.Echo
		c.answered(now, at, a)
	})
}
