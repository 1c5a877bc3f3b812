package service

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/trust"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// allMethods are those of both servers.
func allMethods() []string {
	s := New(Options{Log: hclog.NewNullLogger()})
	all := map[string]bool{}
	for _, g := range []*grpc.Server{s.tcp, s.unix} {
		for service, info := range g.GetServiceInfo() {
			for _, m := range info.Methods {
				all["/"+service+"/"+m.Name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// Each call is for looking, for operating, for members or for the own monitor. Who may
// make it follows from that.
func TestWhoMayMakeWhichCall(t *testing.T) {
	as := func(r trust.Role) party { return party{identity: trust.Identity{Cluster: "c", Role: r, Name: "x"}} }
	local := func(uid int) party { return party{unix: &credential{uid: uid}} }
	const look, operation, peers, monitor = "look", "operation", "peers", "monitor"
	kind := func(method string) string {
		switch {
		case slices.Contains(looks, method):
			return look
		case slices.Contains(operations, method):
			return operation
		case slices.Contains(monitors, method):
			return monitor
		}
		return peers
	}
	for name, c := range map[string]struct {
		who       party
		insecure  bool
		forwarded bool
		may       []string
	}{
		"a reader":                     {who: as(trust.Read), may: []string{look}},
		"a session":                    {who: as(trust.Session), may: []string{look}},
		"an operator":                  {who: as(trust.Operate), may: []string{look, operation}},
		"an operator who lies":         {who: as(trust.Operate), forwarded: true, may: []string{look, operation}},
		"a reader who lies":            {who: as(trust.Read), forwarded: true, may: []string{look}},
		"a member":                     {who: as(trust.Member), may: []string{look, operation, peers}},
		"root of this machine":         {who: local(0), may: []string{look, operation, peers, monitor}},
		"the coordinator's user":       {who: local(os.Geteuid()), may: []string{look, operation, peers, monitor}},
		"the socket's group":           {who: local(4711), may: []string{look, operation}},
		"loopback, without a secret":   {may: []string{look, peers}},
		"loopback, a member's forward": {forwarded: true, may: []string{look, operation, peers}},
		"insecure":                     {insecure: true, may: []string{look, operation, peers}},
	} {
		s := &Servers{o: Options{Insecure: c.insecure}}
		counted := map[string]int{}
		for _, m := range allMethods() {
			k := kind(m)
			counted[k]++
			if c.who.unix == nil && k == monitor && c.who.identity == (trust.Identity{}) {
				continue // it is not served over the network
			}
			err := s.mayCall(c.who, m, c.forwarded)
			if may := slices.Contains(c.may, k); (err == nil) != may {
				t.Errorf("%s, %s (%s): %v", name, m, k, err)
			}
			if err != nil && (!errors.Is(err, reason.ErrDenied) || strings.Contains(err.Error(), m)) {
				t.Errorf("%s, %s: %v is no denial in plain words", name, m, err)
			}
		}
		if counted[look] < 8 || counted[operation] != len(operations) || counted[peers] != 6 || counted[monitor] != 1 {
			t.Errorf("calls of each kind: %v; is a new one in the lists of roles.go?", counted)
		}
	}
	err := (&Servers{}).mayCall(as(trust.Read), arcv1.ArcService_SetSettings_FullMethodName, false)
	if want := "denied: a certificate with the role read does not allow config set; `arc secret issue --role operate` makes one that does"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
