package coordinator

import (
	"net/netip"
	"slices"
	"testing"
)

// An address whose interface is down is not gone.
func TestDormantAddresses(t *testing.T) {
	own := map[string]bool{"10.0.0.1": true, "10.0.1.1": true, "10.0.2.1": true}
	has := func(a netip.Addr) bool { return own[a.String()] }
	for name, c := range map[string]struct{ told, present, want []string }{
		"all present":   {[]string{"10.0.0.1:7400"}, []string{"10.0.0.1:7400"}, nil},
		"one is down":   {[]string{"10.0.0.1:7400", "10.0.1.1:7400"}, []string{"10.0.0.1:7400"}, []string{"10.0.1.1:7400"}},
		"all are down":  {[]string{"10.0.0.1:7400", "10.0.1.1:7400"}, nil, []string{"10.0.0.1:7400", "10.0.1.1:7400"}},
		"one was taken": {[]string{"10.0.0.1:7400", "10.0.9.1:7400"}, []string{"10.0.0.1:7400"}, nil},
		"never told":    {nil, nil, nil},
	} {
		if got := dormant(c.told, c.present, has); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
