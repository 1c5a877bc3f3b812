package discovery

import (
	"errors"
	"net/netip"
	"time"

	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
)

// datagram handles what a socket received. Hellos come to the shared port,
// answers to the own one.
func (s *Service) datagram(b []byte, from netip.AddrPort, shared bool) {
	h, a, size, err := s.unpack(b)
	at := arrival{from: from, size: size, wall: time.Now().Round(0)}
	var why *stranger
	switch {
	case errors.As(err, &why):
		s.unread(from.Addr(), why)
	case err != nil:
		s.log.Trace("dropped a datagram", "from", from, "error", err)
	case h != nil && shared:
		s.do(func(c *core, now time.Time) { c.hello(now, at, h) })
	case a != nil && !shared:
		s.do(func(c *core, now time.Time) { c.answered(now, at, a) })
	}
}

// unpack opens a datagram, and says how long it was without its seal.
func (s *Service) unpack(b []byte) (h *discoveryv1.Hello, a *discoveryv1.Answer, size int, err error) {
	if b, err = s.seals.open(b); err == nil {
		h, a, err = decode(b, s.seals != nil)
	}
	return h, a, len(b), err
}

// pack returns the datagram that leaves now.
func (s *Service) pack(c content, most int, source netip.AddrPort) ([]byte, error) {
	if stamp := c.GetStamp(); stamp != nil {
		now := time.Now()
		leaves(stamp, now, now.Round(0), s.began, source)
	}
	b, err := encode(c, most)
	if err != nil {
		return nil, err
	}
	return s.seals.seal(b), nil
}

// unread tells the core of a datagram that was not read. It costs less than do: there may
// be thousands a second, and they change nothing.
func (s *Service) unread(host netip.Addr, why *stranger) {
	s.mu.Lock()
	s.core.stranger(time.Now(), host, why)
	effects := s.core.take()
	s.mu.Unlock()
	for _, e := range effects {
		s.carryOut(e)
	}
}
