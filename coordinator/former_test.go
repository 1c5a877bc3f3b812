package coordinator

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/arc-ring/arc/ring"
)

// What is known of the former ring comes back as it was written, and a node that
// waits for it says where those are who have its disks.
func TestTheFormerRingIsKnownByNamesAndAddresses(t *testing.T) {
	s := &ring.State{RingID: "r1", Members: []ring.Member{
		{ID: 1, Name: "n1", Addresses: []string{"10.0.0.1:7400"}},
		{ID: 2, Name: "n2", Addresses: []string{"10.0.0.2:7400", "10.1.0.2:7400"}},
		{ID: 3, Name: "n3", Addresses: []string{"10.0.0.3:7400"}},
	}}
	for name, c := range map[string]struct {
		file func(path string) error // nil: written by this version
		want former
		says string
	}{
		"this version": {
			want: formerOf(s, "n1"),
			says: "the disks of n2 (10.0.0.2:7400, 10.1.0.2:7400), n3 (10.0.0.3:7400) as far as it knows: start the one of them that ended last first (if",
		},
		"addresses before names": {
			file: func(path string) error {
				return os.WriteFile(path, []byte("r1\n10.0.0.2:7400\n10.0.0.3:7400\nmember n2\n"), 0o600)
			},
			want: former{"r1", []formerMember{{"", []string{"10.0.0.2:7400", "10.0.0.3:7400"}}, {"n2", nil}}},
			says: "the disk of n2 as far as it knows: start it (if",
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t, "n1")
			if err := os.MkdirAll(o.DataDir, 0o700); err != nil {
				t.Fatal(err)
			}
			n := newNode(o)
			err := n.writeFormer(formerOf(s, "n1"))
			if c.file != nil {
				err = c.file(n.formerPath())
			}
			if err != nil {
				t.Fatal(err)
			}
			f, err := n.formerRing()
			if err != nil || !reflect.DeepEqual(f, c.want) {
				t.Errorf("read %+v, %v; want %+v", f, err, c.want)
			}
			n.waitsForFormer(f)
			if got := n.hub.views.load().waitsFor; !strings.Contains(got, c.says) {
				t.Errorf("says %q, want %q", got, c.says)
			}
		})
	}
}
