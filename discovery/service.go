package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/hostaddr"
	"github.com/arc-ring/arc/internal/limits"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// Service is a coordinator's discovery. Its methods may be called by any
// goroutine.
type Service struct {
	opts    Options
	seals   seals
	began   time.Time
	log     hclog.Logger
	sockets *sockets
	// ctx ends with Close, under mu; asks are the goroutines that ask other nodes.
	ctx    context.Context
	cancel context.CancelFunc
	asks   sync.WaitGroup
	// wake tells Run that the core's next time has changed.
	wake chan struct{}

	mu     sync.Mutex // guards what follows
	core   *core
	waiter chan finish // of the Seek under way

	sendMu  sync.Mutex // guards what follows; never taken under mu
	outlets []outlet
	scanned time.Time
	failed  map[string]*failure // by way out

	keepMu sync.Mutex // guards what follows; never taken under mu
	kept   uint64     // version of the words that are durable
}

// New opens the sockets. The error says what is wrong with the options
// (ErrOptions), or which port could not be had. A Service that is not Run must
// be Closed.
func New(o Options) (*Service, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Service{opts: o, seals: o.Seals, began: time.Now(), log: cmp.Or(o.Logger, hclog.NewNullLogger()), wake: make(chan struct{}, 1), failed: map[string]*failure{}}
	err := CheckInterfaces(o.Interfaces)
	if err != nil {
		return nil, err
	}
	if s.sockets, err = openSockets(&o); err != nil {
		return nil, err
	}
	s.core = newCore(s.began, o.Cluster, o.node(), o.Expect, rand.Uint64) // ChaCha8, seeded by the system
	if o.Seals != nil {
		s.core.senders = newSenders(s.began)
	}
	s.core.found.recall(o.Words, o.KeptAt)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.scan(time.Now()) // nobody else has the service yet
	if told, have := len(s.core.self.Addresses), len(o.Addresses); told < have {
		s.log.Warn("advertising only some addresses", "addresses", s.core.self.Addresses, "left-out", have-told, "hint", "limit them with --bind")
	}
	return s, nil
}

// Run serves until the context ends, then closes everything and waits for it.
// It returns nil then, and ErrClosed if the service is closed already.
func (s *Service) Run(ctx context.Context) error {
	if s.ctx.Err() != nil {
		return ErrClosed
	}
	s.log.Info("discovery listens", "cluster", s.opts.Cluster, "port", s.opts.Port, "interfaces", s.ways())
	var readers sync.WaitGroup
	readers.Go(func() { s.sockets.receive(s.datagram) })
	s.loop(ctx)
	s.Close()
	readers.Wait()
	return nil
}

func (s *Service) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
			s.do((*core).tick)
		}
		s.mu.Lock()
		next := s.core.next()
		s.mu.Unlock()
		timer.Reset(max(time.Until(next), time.Millisecond))
	}
}

// Close ends Run, the Seek under way and all asks, and closes the sockets. It
// may be called more than once.
func (s *Service) Close() {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.sockets.close()
	s.asks.Wait()
}

// Seek looks for a ring until it finds one, until this node is accepted as the
// founder, until the context ends or until another node has its name. It needs Run to
// be running. A node that has called SetRing with a ring finds that one only,
// and never founds.
func (s *Service) Seek(ctx context.Context) (Found, error) {
	done := make(chan finish, 1)
	s.mu.Lock()
	closed, busy := s.ctx.Err() != nil, s.waiter != nil
	if !closed && !busy {
		s.waiter = done
	}
	s.mu.Unlock()
	switch {
	case closed:
		return Found{}, ErrClosed
	case busy:
		return Found{}, ErrSeeking
	}
	s.do((*core).startSeek)

	select {
	case f := <-done:
		return f.found, f.err
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiter != done {
		// Found in the same moment; a founder must not forget that it was
		// accepted.
		f := <-done
		return f.found, f.err
	}
	s.waiter = nil
	s.core.stopSeek(time.Now())
	return Found{}, cmp.Or(ctx.Err(), ErrClosed)
}

// SetRing tells which ring this node belongs to and who leads it, whenever that
// changes: hellos and answers say so from then on. The leader is named also if
// this node leads. A ring without an id says that it belongs to none any more.
func (s *Service) SetRing(r *discoveryv1.Ring) {
	r.LeaderAddresses = r.LeaderAddresses[:min(len(r.LeaderAddresses), limits.Addresses)]
	s.do(func(c *core, now time.Time) { c.setRing(now, r) })
}

// SetAddresses says where this node is reached now, and says hello.
func (s *Service) SetAddresses(addresses []string) {
	o := s.opts
	o.Addresses = addresses
	node := o.node()
	s.sendMu.Lock()
	s.scanned = time.Time{} // the interfaces have changed too
	s.sendMu.Unlock()
	s.do(func(c *core, now time.Time) { c.moved(now, node) })
}

// Announce says hello: a member that misses others, or that they miss.
func (s *Service) Announce() { s.do((*core).announce) }

// Accept decides whether this node accepts the caller as the founder of the
// cluster; if not, the reason is a short sentence for the caller. It accepts one
// founder; its word holds for ten seconds after it was given or the founder was
// last heard to be at it. It binds this node for longer, see Word.
//
// An error wraps ErrOtherNode: another node's word was asked for, so this one's
// refusal would say nothing. The caller has to be given it as an error, so that
// it tries the other one's other addresses.
func (s *Service) Accept(req *peerv1.AcceptFounderRequest) (accepted bool, reason string, err error) {
	s.do(func(c *core, now time.Time) { accepted, reason, err = c.accept(now, req) })
	if accepted {
		// A word that a restart forgets could be counted in two rings.
		if err := s.keep(); err != nil {
			return false, fmt.Sprintf("%s cannot make its word durable: %v", s.opts.Name, err), nil
		}
	}
	return accepted, reason, err
}

// Founding has to be called before a ring is founded with these names. It binds
// this node as a word to another founder does, if that ring never gets a leader
// as far as this node knows.
func (s *Service) Founding(names []string) error {
	s.do(func(c *core, now time.Time) { c.found.founds(now, c.self, names) })
	return s.keep()
}

// keep makes the words durable.
func (s *Service) keep() error {
	s.keepMu.Lock()
	defer s.keepMu.Unlock()
	s.mu.Lock()
	words, version := s.core.found.list(), s.core.found.version
	s.mu.Unlock()
	if s.opts.Keep == nil || version == s.kept {
		return nil
	}
	if err := s.opts.Keep(words); err != nil {
		return err
	}
	s.kept = version
	return nil
}

// Members returns the addresses of each node of the cluster that was heard in the
// last ten seconds and is in a ring, by name, without this one.
func (s *Service) Members() (all [][]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, heardOf := time.Now(), s.core.heard.byName
	for _, name := range keys(heardOf, func(h *heard) bool { return h.fresh(now) && h.ringID != "" }) {
		all = append(all, heardOf[name].node.Addresses)
	}
	return all
}

// Heard reports whether a node of the cluster was heard from the address in the last
// ten seconds. Without seals that proves nothing.
func (s *Service) Heard(from netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.heard.from(time.Now(), from)
}

// Standstill says for people why the Seek under way has not ended yet: which names were
// heard, what the founding waits for, which other clusters were heard, and after a while
// what can be done. It is empty without a Seek, or if there is nothing to say.
func (s *Service) Standstill() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.standstill(time.Now())
}

// do gives the core an input and carries out what it wants done.
func (s *Service) do(input func(c *core, now time.Time)) {
	s.mu.Lock()
	before, words := s.core.next(), s.core.found.version
	input(s.core, time.Now())
	effects := s.core.take()
	changed := !s.core.next().Equal(before)
	keep := s.core.found.version != words
	for _, e := range effects {
		if f, ok := e.(finish); ok && s.waiter != nil {
			s.waiter <- f // Has room for the one that ends it.
			s.waiter = nil
		}
		if a, ok := e.(ask); ok && s.ctx.Err() == nil {
			s.asks.Go(func() { s.ask(a) })
		}
	}
	s.mu.Unlock()
	if changed {
		connect.Notify(s.wake)
	}
	if keep {
		if err := s.keep(); err != nil {
			s.log.Error("the words to founders cannot be made durable", "file", s.opts.KeptAt, "error", err)
		}
	}
	for _, e := range effects {
		s.carryOut(e)
	}
}

func (s *Service) carryOut(e effect) {
	switch e := e.(type) {
	case sendHello:
		s.broadcast(e.hello)
	case sendAnswer:
		b, err := s.pack(e.answer, e.most, netip.AddrPort{})
		if err == nil {
			err = s.sockets.reply(b, e.to)
		}
		if err != nil && s.ctx.Err() == nil {
			s.log.Debug("cannot answer a hello", "to", e.to, "error", err)
		}
	case fellow:
		s.opts.OnFellow(e.node)
	case report:
		s.opts.OnForeignRing(e.ring)
	case note:
		args := e.args
		if e.interfaces {
			args = append(args, "interfaces", s.ways())
		}
		s.log.Log(e.level, e.message, args...)
	}
}

// broadcast sends a hello every way out.
func (s *Service) broadcast(h *discoveryv1.Hello) {
	s.sendMu.Lock()
	defer s.sendMu.Unlock()
	now := time.Now()
	if now.Sub(s.scanned) >= durations.InterfacesFresh {
		s.scan(now)
	}
	for _, o := range s.outlets {
		b, err := s.pack(h, bareMost, s.sockets.source(o))
		if err != nil {
			s.log.Error("cannot say hello", "error", err)
			return
		}
		err = s.sockets.send(b, o, s.opts.Port)
		way := o.String()
		switch {
		case err == nil:
			delete(s.failed, way)
		case s.ctx.Err() != nil:
			return
		default:
			f := s.failed[way]
			if f == nil {
				f = &failure{since: now}
				s.failed[way] = f
			}
			if hint, yes := f.warns(now, err); yes {
				s.log.Warn("cannot say hello on an interface", "to", way, "error", err, "hint", hint)
			} else {
				s.log.Debug("cannot say hello on an interface", "to", way, "error", err)
			}
		}
	}
}

// failure is a way out whose last send failed.
type failure struct {
	since  time.Time
	warned bool
}

// warns reports whether the failure of a send is to be warned of now, with a
// hint at its cause. It is warned of once, and while the interface may be about
// to get a usable address not at all.
func (f *failure) warns(now time.Time, err error) (hint string, yes bool) {
	hint = "does a firewall forbid UDP broadcast? name the interfaces to use with --interface"
	// With a source address that is not usable yet it is EINVAL.
	if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EINVAL) {
		if now.Sub(f.since) < durations.InterfaceUsable {
			return "", false
		}
		hint = "the interface has no usable address: has IPv6 found a duplicate of it? name the interfaces to use with --interface"
	}
	yes = !f.warned
	f.warned = true
	return hint, yes
}

// scan looks which interfaces there are now. The caller holds sendMu.
func (s *Service) scan(now time.Time) {
	s.scanned = now
	all, err := hostaddr.Interfaces()
	if err != nil {
		s.log.Debug("cannot list interfaces, using the last known", "error", err)
		return
	}
	outlets := s.opts.outlets(all)
	if err := s.sockets.use(outlets); err != nil && s.ctx.Err() == nil {
		s.log.Debug("cannot listen to IPv6 hellos", "error", err)
	}
	if !slices.Equal(outlets, s.outlets) {
		if s.outlets != nil || len(outlets) == 0 {
			s.log.Info("interfaces of discovery changed", "from", names(s.outlets), "to", names(outlets))
		}
		maps.DeleteFunc(s.failed, func(way string, _ *failure) bool { return !slices.Contains(names(outlets), way) })
	}
	s.outlets = outlets
}

// ways returns the present ways out for the log.
func (s *Service) ways() []string {
	s.sendMu.Lock()
	defer s.sendMu.Unlock()
	return names(s.outlets)
}

func names(outlets []outlet) []string {
	list := make([]string, 0, len(outlets))
	for _, o := range outlets {
		list = append(list, o.String())
	}
	return list
}

// ask asks one node for its word, at all its addresses, each a little after
// the one before; the first that answers counts.
func (s *Service) ask(a ask) {
	ctx, cancel := context.WithTimeout(s.ctx, durations.FounderAsk)
	defer cancel()
	type answer struct {
		accepted bool
		reason   string
		err      error
	}
	answers := make(chan answer, len(a.node.Addresses))
	var tries sync.WaitGroup
	defer tries.Wait()
	for i, address := range a.node.Addresses {
		tries.Go(func() {
			if !connect.Wait(ctx, time.Duration(i)*durations.FounderStagger) {
				answers <- answer{err: ctx.Err()}
				return
			}
			ok, reason, err := s.opts.Ask(ctx, address, a.request)
			if err != nil {
				err = fmt.Errorf("ask %s at %s: %w", a.node.Name, address, err)
			}
			answers <- answer{ok, reason, err}
		})
	}
	last := answer{err: fmt.Errorf("ask %s: it advertises none but this node's own addresses", a.node.Name)}
	for range a.node.Addresses {
		if last = <-answers; last.err == nil {
			cancel()
			break
		}
	}
	s.do(func(c *core, now time.Time) {
		c.asked(now, a.round, a.node.Name, a.node.Incarnation, last.accepted, last.reason, last.err)
	})
}
