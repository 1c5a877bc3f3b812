package coordinator

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/hostaddr"
)

// checkBind returns what is wrong with the addresses of --bind, whatever the
// machine is.
func checkBind(bind []netip.Addr) (errs []error) {
	var good []netip.Addr
	for _, a := range bind {
		switch {
		case !a.IsValid():
			errs = append(errs, errors.New("--bind holds something that is not an address"))
		case a.IsMulticast():
			errs = append(errs, fmt.Errorf("--bind %s is a multicast address, to which nobody can connect", a))
		case a == hostaddr.LimitedBroadcast:
			errs = append(errs, broadcastError(a))
		default:
			for _, b := range good {
				errs = append(errs, collision(a, b))
			}
			good = append(good, a)
		}
	}
	return errs
}

func broadcastError(a netip.Addr) error {
	return fmt.Errorf("--bind %s is a broadcast address, to which nobody can connect", a)
}

// collision says why one cannot listen at both addresses, nil if one can.
func collision(a, b netip.Addr) error {
	switch {
	case a == b:
		return fmt.Errorf("--bind has %s twice", a)
	case covers(b, a):
		a, b = b, a
	case !covers(a, b):
		return nil
	}
	return fmt.Errorf("--bind has %s, which stands for %s too: give one of them", a, b)
}

// covers reports whether one who listens at wide listens at the other address as
// well. At :: Linux listens for IPv4, too.
func covers(wide, narrow netip.Addr) bool {
	return wide.IsUnspecified() && (wide.Is6() || narrow.Is4())
}

// checkBroadcast refuses the broadcast addresses of this machine's networks, at
// which the kernel lets a socket listen.
func checkBroadcast(bind []netip.Addr) error {
	broadcast, err := hostaddr.Broadcast()
	if err != nil {
		return err
	}
	for _, a := range bind {
		if broadcast[a] {
			return reason.Usagef("%w", broadcastError(a))
		}
	}
	return nil
}
