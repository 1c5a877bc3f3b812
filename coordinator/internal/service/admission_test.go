package service

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

func joinRequest(edit func(*arcv1.JoinRequest)) *arcv1.JoinRequest {
	r := &arcv1.JoinRequest{Cluster: "c", Name: "n1", Incarnation: 7, Addresses: []string{"10.0.0.1:7400"}, Nonce: 3}
	edit(r)
	return r
}

func TestCheckJoin(t *testing.T) {
	if err := checkJoin("c", "r", joinRequest(func(*arcv1.JoinRequest) {})); err != nil {
		t.Errorf("a good request: %v", err)
	}
	for name, c := range map[string]struct {
		edit func(*arcv1.JoinRequest)
		is   error
		says string
	}{
		"another cluster":                   {func(r *arcv1.JoinRequest) { r.Cluster = "d" }, reason.ErrOtherRing, `"d"`},
		"another ring":                      {func(r *arcv1.JoinRequest) { r.RingId = "q" }, reason.ErrOtherRing, `ring "q"`},
		"no name":                           {func(r *arcv1.JoinRequest) { r.Name = "" }, ring.ErrInvalid, "name is empty"},
		"a long name":                       {func(r *arcv1.JoinRequest) { r.Name = strings.Repeat("x", 200) }, ring.ErrInvalid, "200 bytes"},
		"a name to print":                   {func(r *arcv1.JoinRequest) { r.Name = "a\x1b[31m" }, ring.ErrInvalid, "does not print"},
		"no incarnation":                    {func(r *arcv1.JoinRequest) { r.Incarnation = 0 }, ring.ErrInvalid, "incarnation"},
		"no address":                        {func(r *arcv1.JoinRequest) { r.Addresses = nil }, ring.ErrInvalid, "0 addresses"},
		"a bad address":                     {func(r *arcv1.JoinRequest) { r.Addresses = []string{"host"} }, ring.ErrInvalid, `"host"`},
		"an address that steers a terminal": {func(r *arcv1.JoinRequest) { r.Addresses = []string{"\x1b[2J:1"} }, ring.ErrInvalid, `"\x1b[2J:1"`},
		"port 0":                            {func(r *arcv1.JoinRequest) { r.Addresses = []string{"h:0"} }, ring.ErrInvalid, `"h:0"`},
		"many addresses":                    {func(r *arcv1.JoinRequest) { r.Addresses = make([]string, 17) }, ring.ErrInvalid, "17 addresses"},
		"a wish unknown":                    {func(r *arcv1.JoinRequest) { r.OnJoin = "rule" }, ring.ErrInvalid, `"rule"`},
		"a leading witness": {func(r *arcv1.JoinRequest) { r.Witness, r.OnJoin = true, "lead" },
			ring.ErrInvalid, "witness never leads"},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkJoin("c", "r", joinRequest(c.edit))
			if strings.ContainsRune(err.Error(), '\x1b') {
				t.Errorf("the error steers a terminal: %q", err)
			}
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %v that says %q", err, c.is, c.says)
			}
		})
	}
}

// A node that listens on loopback alone can join on its own machine only.
func TestCheckReach(t *testing.T) {
	far := netip.MustParseAddrPort("10.0.0.2:40000")
	loopback := joinRequest(func(r *arcv1.JoinRequest) { r.Addresses = []string{"127.0.0.1:7400", "[::1]:7400"} })
	if err := checkReach(loopback, far, false); !errors.Is(err, ring.ErrInvalid) || !strings.Contains(err.Error(), "10.0.0.2") || !strings.Contains(err.Error(), "--bind") {
		t.Errorf("from another machine: %v, want a refusal that says from where and what to do", err)
	}
	if err := checkReach(loopback, far, true); err != nil {
		t.Errorf("on this machine: %v", err)
	}
	if err := checkReach(loopback, netip.AddrPort{}, false); err != nil {
		t.Errorf("from nobody knows where: %v", err)
	}
	mixed := joinRequest(func(r *arcv1.JoinRequest) { r.Addresses = []string{"127.0.0.1:7400", "10.0.0.2:7400"} })
	if err := checkReach(mixed, far, false); err != nil {
		t.Errorf("with another address too: %v", err)
	}
}
