package coordinator

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// freeUDP is a UDP port of loopback that nobody has at the moment.
func freeUDP(t *testing.T) int {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// A node that gave its word, and was restarted before it heard of the ring,
// helps nobody to found another one.
func TestAWordOutlivesTheProcess(t *testing.T) {
	o := testOptions(t, "n")
	o.NoAutodiscovery, o.Expect, o.DiscoveryPort = false, 3, freeUDP(t)
	n := start(t, o)
	ask := func(founder string, names ...string) (bool, string) {
		t.Helper()
		r, err := n.n.acceptFounder(&peerv1.AcceptFounderRequest{Cluster: o.Cluster, Founder: founder, Incarnation: 7, Addresses: []string{"127.0.0.1:1"}, Names: names, To: "n"})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetAccepted(), r.GetReason()
	}
	if ok, why := ask("a", "a", "n", "x"); !ok {
		t.Fatal(why)
	}
	n.crash()
	n = n.again()
	if ok, why := ask("b", "b", "n", "z"); ok || !strings.Contains(why, n.n.wordsPath()) {
		t.Errorf("b was accepted: %v, %q", ok, why)
	}
	n.crash()

	o.NoAutodiscovery, o.Expect, o.Bootstrap = true, 0, true
	alone := start(t, o)
	<-alone.ended
	if !errors.Is(alone.err, reason.ErrUsage) || !strings.Contains(alone.err.Error(), n.n.wordsPath()) {
		t.Errorf("--bootstrap ended with %v, want a usage error that names the file", alone.err)
	}
	if err := os.Remove(n.n.wordsPath()); err != nil {
		t.Fatal(err)
	}
	alone = start(t, o)
	alone.awaitLeader("n", 1)
}

func TestTheWordsFileIsRead(t *testing.T) {
	for text, problem := range map[string]string{
		"": "does not say", "{": "does not say", `{"cluster":"test","words":[{"founder":"a b"}]}`: "founder",
		`{"cluster":"other","words":[{"founder":"a"}]}`: `cluster "other"`, `{"cluster":"other","words":[]}`: "",
		`{"cluster":"test","words":[{"founder":"a","incarnation":18446744073709551615,"names":["a","n\u001b"]}]}`: "name",
	} {
		n := &node{o: testOptions(t, "n")}
		if err := os.MkdirAll(n.o.DataDir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(n.wordsPath(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		words, err := n.readWords()
		switch {
		case problem == "" && (err != nil || len(words) != 0):
			t.Errorf("%s: %v, %v, want nothing", text, words, err)
		case problem != "" && (err == nil || !strings.Contains(err.Error(), problem) || !strings.Contains(err.Error(), n.wordsPath())):
			t.Errorf("%s: %v, want an error with %q that names the file", text, err, problem)
		}
	}
}
