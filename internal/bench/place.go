package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

// What a disk in memory holds: etcd sets 64 MB aside for each file of its log.
const diskBytes = 512 << 20

var (
	// errUnanswered is the error of a trial after which the hosts may be as good
	// as before.
	errUnanswered = errors.New("no new leader that all know")
	// errMoved is the error of a trial before which the leader changed by itself.
	errMoved = errors.New("the leader changed right before the fault")
)

// place is one lab with a system on it. It belongs to one goroutine at a time.
type place struct {
	system System
	stage  *stage
	bed    *bed
	daemon daemon
	spent  *spent
}

// spent is where a place's time went.
type spent struct{ settling, resting, striking, mending time.Duration }

func (s *spent) add(o spent) {
	s.settling += o.settling
	s.resting += o.resting
	s.striking += o.striking
	s.mending += o.mending
}

// count adds the time since began.
func count(to *time.Duration, began time.Time) { *to += time.Since(began) }

// open makes a lab, starts the system on all its hosts and waits until it has
// settled.
func (r *runner) open(ctx context.Context, s System, n int) (*place, error) {
	p := &place{system: s, stage: &stage{say: r.Say}, spent: &spent{}}
	err := p.stage.do(func() error {
		lab := netlab.Options{Hosts: n, DiskBytes: diskBytes}
		if r.RealDisk {
			lab.DiskBytes = 0
		}
		p.bed = &bed{ledger: NewLedger(nil), lab: netlab.New(p.stage, lab), tails: map[int]func() string{}}
		p.bed.hosts = p.bed.lab.Hosts()
		p.daemon = s.begin(p.bed, r.ready[s.ID])
		p.stage.Cleanup(p.daemon.close)
		for _, h := range p.bed.hosts {
			if err := p.daemon.start(h); err != nil {
				return fmt.Errorf("start it on %s: %w", h, err)
			}
		}
		return p.settle(ctx)
	})
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *place) close() { p.stage.end() }

// settle waits until all is well.
func (p *place) settle(ctx context.Context) error {
	began := time.Now()
	defer count(&p.spent.settling, began)
	n := len(p.bed.hosts)
	for {
		why := p.daemon.unready()
		if why == "" {
			return nil
		}
		if limit := p.system.formBound(n); time.Since(began) > limit {
			return fmt.Errorf("not settled within %v: %s; the daemons said:\n%s", limit, why, p.bed.says())
		}
		if err := pause(ctx, look(p.system.Takes(n), 20*time.Millisecond)); err != nil {
			return err
		}
	}
}

// rested waits until all is well and has been for a while, and returns the
// leader. The moment falls anywhere in the rhythm of whatever the daemons do.
func (p *place) rested(ctx context.Context) (*netlab.Host, error) {
	limit := p.system.formBound(len(p.bed.hosts))
	for began := time.Now(); time.Since(began) < limit; {
		if err := p.settle(ctx); err != nil {
			return nil, err
		}
		since := time.Now()
		err := pause(ctx, p.system.Rest+time.Duration(rand.Int64N(int64(p.system.Period)+1)))
		count(&p.spent.resting, since)
		if err != nil {
			return nil, err
		}
		if leader := p.bed.ledger.Agreed(p.bed.numbers()); leader != nobody && p.bed.ledger.changes(since) == 0 {
			return p.bed.lab.Host(leader), nil
		}
	}
	return nil, fmt.Errorf("it does not come to rest within %v", limit)
}

// outcome is what a trial measured.
type outcome struct {
	// From the fault until the first survivor knew the next leader, and all.
	first, all time.Duration
	// How long two acted as leaders in a cut, and how long that lasted.
	both, cutFor time.Duration
}

// trial lets the fault happen once to the leader.
func (p *place) trial(ctx context.Context, f Fault) (outcome, error) {
	const attempts = 5
	for i := 1; ; i++ {
		o, err := p.attempt(ctx, f)
		if i == attempts || !errors.Is(err, errMoved) {
			return o, err
		}
	}
}

func (p *place) attempt(ctx context.Context, f Fault) (outcome, error) {
	leader, err := p.rested(ctx)
	if err != nil {
		return outcome{}, err
	}
	hosts := p.bed.numbers()
	survivors := without(hosts, leader.Number())
	if f.Again == 0 {
		return p.strike(ctx, f, leader, hosts, survivors)
	}
	if _, err := p.strike(ctx, f, leader, hosts, survivors); err != nil {
		return outcome{}, fmt.Errorf("the first time: %w", err)
	}
	if err := pause(ctx, f.Again); err != nil {
		return outcome{}, err
	}
	second := p.bed.ledger.Agreed(survivors)
	if second == nobody || second == leader.Number() {
		return outcome{}, fmt.Errorf("%v after the cable of %s is back the others do not agree on another leader", f.Again, leader)
	}
	// Who has just come back is not judged.
	return p.strike(ctx, f, p.bed.lab.Host(second), survivors, without(survivors, second))
}

// without is the list less one.
func without(list []int, n int) []int {
	return slices.DeleteFunc(slices.Clone(list), func(m int) bool { return m == n })
}

// strike lets the fault happen, and undoes it when all survivors know the next
// leader. Before, all believers have to take the victim for the leader.
func (p *place) strike(ctx context.Context, f Fault, leader *netlab.Host, believers, survivors []int) (outcome, error) {
	happen, undo := f.prepare(p.bed, p.daemon, leader)
	// All that is not measured is done by now; neither shall the collector of
	// this program's garbage run in between.
	runtime.GC()
	p.bed.ledger.Forget(time.Now())
	// What changes without a fault is no failover: who was on the way to another
	// leader while this was prepared would be there too soon.
	if p.bed.ledger.Agreed(believers) != leader.Number() {
		return outcome{}, errMoved
	}

	began := time.Now()
	happen()
	first, all, err := p.await(ctx, began, survivors, leader.Number())
	count(&p.spent.striking, began)
	defer count(&p.spent.mending, time.Now())
	if err := undo(); err != nil {
		return outcome{}, fmt.Errorf("undo %s: %w", f.Name, err)
	}
	if err != nil {
		return outcome{}, err
	}
	return outcome{first: first.Sub(began), all: all.Sub(began)}, nil
}

// await waits until all survivors know the next leader.
func (p *place) await(ctx context.Context, began time.Time, survivors []int, victim int) (first, all time.Time, err error) {
	n := len(p.bed.hosts)
	limit, every := p.system.Patience(n), look(p.system.Takes(n), 2*time.Millisecond)
	for {
		first, all, _, ok := p.bed.ledger.Known(began, survivors, victim)
		if ok {
			return first, all, nil
		}
		if time.Since(began) > limit {
			return first, all, fmt.Errorf("%w within %v", errUnanswered, limit)
		}
		if err := pause(ctx, every); err != nil {
			return first, all, err
		}
	}
}
