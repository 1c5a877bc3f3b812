package membership

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/arc-ring/arc/ring"
)

func applicant(edit func(*Applicant)) Applicant {
	a := Applicant{Cluster: "c", Member: ring.Member{Name: "n1", Incarnation: 7, Addresses: []string{"10.0.0.1:7400"}, Nonce: 3}}
	edit(&a)
	return a
}

func TestCheckJoin(t *testing.T) {
	if err := applicant(func(*Applicant) {}).Check("c", "r"); err != nil {
		t.Errorf("a good request: %v", err)
	}
	for name, c := range map[string]struct {
		edit func(*Applicant)
		is   error
		says string
	}{
		"another cluster":                   {func(a *Applicant) { a.Cluster = "d" }, ErrOtherRing, `"d"`},
		"another ring":                      {func(a *Applicant) { a.RingID = "q" }, ErrOtherRing, `ring "q"`},
		"no name":                           {func(a *Applicant) { a.Member.Name = "" }, ring.ErrInvalid, "name is empty"},
		"a long name":                       {func(a *Applicant) { a.Member.Name = strings.Repeat("x", 200) }, ring.ErrInvalid, "200 bytes"},
		"a name to print":                   {func(a *Applicant) { a.Member.Name = "a\x1b[31m" }, ring.ErrInvalid, "does not print"},
		"no incarnation":                    {func(a *Applicant) { a.Member.Incarnation = 0 }, ring.ErrInvalid, "incarnation"},
		"no address":                        {func(a *Applicant) { a.Member.Addresses = nil }, ring.ErrInvalid, "0 addresses"},
		"a bad address":                     {func(a *Applicant) { a.Member.Addresses = []string{"host"} }, ring.ErrInvalid, `"host"`},
		"an address that steers a terminal": {func(a *Applicant) { a.Member.Addresses = []string{"\x1b[2J:1"} }, ring.ErrInvalid, `"\x1b[2J:1"`},
		"port 0":                            {func(a *Applicant) { a.Member.Addresses = []string{"h:0"} }, ring.ErrInvalid, `"h:0"`},
		"many addresses":                    {func(a *Applicant) { a.Member.Addresses = make([]string, 17) }, ring.ErrInvalid, "17 addresses"},
		"a wish unknown":                    {func(a *Applicant) { a.Member.OnJoin = "rule" }, ring.ErrInvalid, `"rule"`},
		"a leading witness": {func(a *Applicant) { a.Member.Witness, a.Member.OnJoin = true, "lead" },
			ring.ErrInvalid, "witness never leads"},
	} {
		t.Run(name, func(t *testing.T) {
			err := applicant(c.edit).Check("c", "r")
			if strings.ContainsRune(err.Error(), '\x1b') {
				t.Errorf("the error steers a terminal: %q", err)
			}
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %v that says %q", err, c.is, c.says)
			}
		})
	}
}

// A ring that has a name of an earlier version keeps it; nobody new gets such a
// name.
func TestANewNameKeepsToTheRuleOfToday(t *testing.T) {
	for _, name := range []string{"a,b", "a\u3164"} {
		a := applicant(func(a *Applicant) { a.Member.Name = name })
		if err := a.CheckNewName(&ring.State{}); !errors.Is(err, ring.ErrInvalid) || !strings.Contains(err.Error(), "--name") {
			t.Errorf("%q: %v, want a refusal that says what to do", name, err)
		}
		for what, s := range map[string]*ring.State{
			"member": {Members: []ring.Member{{ID: 1, Name: name}}}, "departed": {Departed: []ring.Departed{{ID: 1, Name: name}}},
			"leader before": {Led: []ring.LastLed{{Name: name, Term: 7}}},
		} {
			if err := a.CheckNewName(s); err != nil {
				t.Errorf("%q, a %s: %v", name, what, err)
			}
		}
	}
	if err := applicant(func(*Applicant) {}).CheckNewName(&ring.State{}); err != nil {
		t.Error(err)
	}
}

// A node that listens on loopback alone can join on its own machine only.
func TestCheckReach(t *testing.T) {
	far := netip.MustParseAddr("10.0.0.2")
	loopback := applicant(func(a *Applicant) { a.Member.Addresses = []string{"127.0.0.1:7400", "[::1]:7400"} })
	if err := loopback.CheckReach(far, false); !errors.Is(err, ring.ErrInvalid) || !strings.Contains(err.Error(), "10.0.0.2") || !strings.Contains(err.Error(), "--bind") {
		t.Errorf("from another machine: %v, want a refusal that says from where and what to do", err)
	}
	if err := loopback.CheckReach(far, true); err != nil {
		t.Errorf("on this machine: %v", err)
	}
	if err := loopback.CheckReach(netip.Addr{}, false); err != nil {
		t.Errorf("from nobody knows where: %v", err)
	}
	mixed := applicant(func(a *Applicant) { a.Member.Addresses = []string{"127.0.0.1:7400", "10.0.0.2:7400"} })
	if err := mixed.CheckReach(far, false); err != nil {
		t.Errorf("with another address too: %v", err)
	}
}
