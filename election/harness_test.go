package election_test

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// world is a few Nodes over a perfect network in virtual time: one millisecond
// a message, disks that are done at once. The faults of real life are the
// simulator's business; this is for reading what the rules do.
type world struct {
	now    election.Instant
	seq    int
	events eventHeap
	nodes  map[string]*node
	order  []string // names in the order of their first join
	out    strings.Builder
	quiet  bool
	// untraced: the nodes write no trace and are not checked, for benchmarks.
	untraced bool
	// cut holds directed pairs of names whose messages are lost.
	cut   map[[2]string]bool
	refs  uint64
	done  map[uint64]election.Done
	terms map[uint64]string // who declared in a term
	// joiner is the node whose join is under way.
	joiner *node
	// forge, if set, may return a message that arrives right before another.
	forge func(election.Message) *election.Message
	// drop, if set, says which messages are lost.
	drop func(election.Message) bool
	// finds, if not nil, says what a probe finds, instead of who is there.
	finds func(election.Probe) election.ProbeResult
	// delay is what a message takes.
	delay    time.Duration
	watchers uint64
	// compact, if not 0, is after how many entries a node cuts its log.
	compact uint64
	// logVersion is what nodes read that are started from now on.
	logVersion uint32
	// clock, if not 0, is the Unix time in seconds at the world's begin.
	clock int64
	// lie bends what a node says of another one's standing.
	lie func(by *node, s *election.Standing)
}

type node struct {
	name    string
	id, inc uint64
	n       *election.Node
	up      bool
	stopped bool // SIGSTOP
	gone    bool // the whole machine
	backlog []func()
	disk    disk
	claims  bool
	// former are the incarnations that ran on its disk, the newest first.
	former     []uint64
	superseded *election.Superseded
	// hangs, if set, says at which write the disk gets stuck; unsaved are that one
	// and all that wait behind it.
	hangs   func(election.Persist) bool
	unsaved []election.Persist
}

type event struct {
	at  election.Instant
	seq int
	do  func()
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	e := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return e
}

func newWorld() *world {
	return &world{nodes: map[string]*node{}, cut: map[[2]string]bool{}, done: map[uint64]election.Done{}, terms: map[uint64]string{}, delay: time.Millisecond}
}

func (w *world) after(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.events, event{w.now.Add(d), w.seq, do})
}

func (w *world) logf(format string, args ...any) {
	if !w.quiet {
		fmt.Fprintf(&w.out, "%7.1fms %s\n", float64(w.now.SinceOrigin().Microseconds())/1000, fmt.Sprintf(format, args...))
	}
}

func (w *world) incarnation() uint64 {
	w.seq++
	return uint64(1000 + w.seq)
}

func (w *world) byID(id uint64) *node {
	for _, name := range w.order {
		if nd := w.nodes[name]; nd.id == id {
			return nd
		}
	}
	return nil
}

// at returns the node at the addresses of a probe, or else the one with its id.
func (w *world) at(p election.Probe) *node {
	for _, name := range w.order {
		if slices.Contains(p.Addresses, name+":7400") {
			return w.nodes[name]
		}
	}
	return w.byID(p.ID)
}

func (w *world) name(id uint64) string {
	if nd := w.byID(id); nd != nil {
		return nd.name
	}
	return fmt.Sprintf("#%d", id)
}

// boot starts a node's core on what its disk holds.
func (w *world) boot(nd *node, rec election.Recovered) {
	c := election.Config{
		ID: nd.id, Incarnation: nd.inc, Addresses: []string{nd.name + ":7400"}, Former: slices.Clone(nd.former), LogVersion: w.logVersion, CompactAfter: w.compact,
		Rand: rand.New(rand.NewPCG(nd.id, nd.inc)).Uint64, Wall: func() int64 { return w.clock*1_000_000 + w.now.SinceOrigin().Microseconds() },
	}
	if !w.untraced {
		c.Trace = func(_, f string, args ...any) { w.logf("%s %s", nd.name, fmt.Sprintf(f, args...)) }
	}
	n, err := election.New(c, rec, w.now)
	if err != nil {
		panic(err)
	}
	nd.former = append([]uint64{nd.inc}, nd.former[:min(len(nd.former), election.FormerKept-1)]...)
	nd.n, nd.up, nd.gone, nd.stopped, nd.backlog = n, true, false, false, nil
	w.carryOut(nd)
}

// to calls f on the node's core now, or when it is no longer stopped.
func (w *world) to(nd *node, f func(now election.Instant)) {
	switch {
	case !nd.up:
	case nd.stopped:
		n := nd.n
		nd.backlog = append(nd.backlog, func() {
			if nd.n == n {
				w.to(nd, f)
			}
		})
	default:
		f(w.now)
		w.carryOut(nd)
	}
}

func (w *world) carryOut(nd *node) {
	if !w.untraced {
		nd.checkSettled()
	}
	for nd.up {
		effects := nd.n.Effects()
		if len(effects) == 0 {
			break
		}
		for _, e := range effects {
			w.effect(nd, e)
		}
	}
	if at := nd.n.NextWake(); nd.up && at != election.Never {
		n := nd.n
		w.after(time.Duration(max(at.Add(time.Duration(-w.now)), 0)), func() {
			if nd.n == n && nd.up && n.NextWake() <= w.now {
				w.to(nd, func(now election.Instant) { n.Tick(now) })
			}
		})
	}
}

func (w *world) effect(nd *node, e election.Effect) {
	switch e := e.(type) {
	case election.Send:
		m := e.Message
		m.Incarnation = nd.inc
		if w.forge != nil {
			if f := w.forge(m); f != nil {
				w.deliver(nd, *f)
			}
		}
		w.deliver(nd, m)
	case election.Persist:
		if len(nd.unsaved) > 0 || nd.hangs != nil && nd.hangs(e) {
			nd.unsaved = append(nd.unsaved, e)
			return
		}
		nd.disk.save(e)
		nd.n.Persisted(w.now, e.Seq)
	case election.Probe:
		w.after(time.Millisecond, func() {
			to := w.at(e)
			path, wait := ring.Path{Outcome: ring.PathRefused}, time.Duration(0)
			switch {
			case to == nil || w.cut[[2]string{nd.name, to.name}] || to.stopped || to.gone:
				path.Outcome, wait = ring.PathOpen, e.Timeout
			case to.up:
				path = ring.Path{Outcome: ring.PathAnswered, Answer: ring.Answer{Cluster: "c", RingID: "r", Name: w.name(to.id), ID: to.id, Incarnation: to.inc}}
			}
			r := e.Result([]ring.Path{path})
			if w.finds != nil {
				r = w.finds(e)
			}
			w.after(wait, func() { w.to(nd, func(now election.Instant) { nd.n.Probed(now, r) }) })
		})
	case election.Inquire:
		asker, id := nd.n, nd.id
		for _, name := range w.order {
			o := w.nodes[name]
			if o == nd || w.cut[[2]string{nd.name, name}] {
				continue
			}
			w.after(w.delay, func() {
				if !o.up || o.stopped {
					return
				}
				s := o.n.Standing(w.now, id)
				if w.lie != nil {
					w.lie(o, &s)
				}
				w.after(w.delay, func() {
					if nd.n == asker && !w.cut[[2]string{name, nd.name}] {
						w.to(nd, func(now election.Instant) { asker.Answered(now, s) })
					}
				})
			})
		}
	case election.Done:
		w.done[e.Ref] = e
		if e.ID != 0 && e.Err == nil {
			w.joiner.id, w.joiner.disk = e.ID, disk{}
			w.boot(w.joiner, election.Recovered{})
		}
	case election.ClaimChanged:
		nd.claims = e.Claiming
		verb := "claims"
		if !e.Claiming {
			verb = "no longer claims"
		}
		w.logf("%s %s token %d: %s", nd.name, verb, e.Term, e.Why)
		for _, o := range w.order {
			other := w.nodes[o]
			if _, _, ok := claimOf(other, w.now); ok && other != nd && e.Claiming {
				w.logf("VIOLATION: %s claims too", o)
			}
		}
	case election.Superseded:
		w.logf("%s is superseded (behind: %v)", nd.name, e.Behind)
		nd.n.StatusVersion(w.now)
		nd.up, nd.superseded = false, &e
	case election.Removed:
		w.logf("%s is removed: %s", nd.name, e.Why)
		nd.n.StatusVersion(w.now)
		nd.up, nd.disk = false, disk{}
	case election.Applied:
		for _, c := range e.Changes {
			if l := c.Leadership; l != nil {
				if by, ok := w.terms[l.Term]; ok && by != l.Name {
					w.logf("VIOLATION: term %d was %s's", l.Term, by)
				}
				if w.terms[l.Term] == "" {
					w.terms[l.Term] = l.Name
					w.logf("leader %s, token %d: %s (evidence %q)", l.Name, l.Term, l.Why, l.Evidence)
				}
			}
		}
	}
}

// deliver lets a message travel.
func (w *world) deliver(from *node, m election.Message) {
	if w.drop != nil && w.drop(m) {
		return
	}
	w.after(w.delay, func() {
		for _, name := range w.order {
			to := w.nodes[name]
			if to.id != m.To || m.Held != nil && to.inc != m.Held.Incarnation {
				continue
			}
			if to.up && !w.cut[[2]string{from.name, to.name}] {
				w.to(to, func(now election.Instant) { to.n.Receive(now, m) })
			}
		}
	})
}

func claimOf(nd *node, now election.Instant) (uint64, time.Duration, bool) {
	if !nd.up || nd.stopped {
		return 0, 0, false
	}
	term, end := nd.n.ClaimUntil()
	return term, end.Sub(now), now < end
}

// run lets virtual time pass.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for len(w.events) > 0 && w.events[0].at <= end {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.do()
	}
	w.now = end
}

func (w *world) found(name string, s ring.Settings) {
	nd := &node{name: name, id: 1, inc: w.incarnation()}
	w.nodes[name] = nd
	w.order = append(w.order, name)
	rec, err := election.Found(ring.Found{Cluster: "c", RingID: "r", Settings: s, Founder: ring.Member{Name: name, Incarnation: nd.inc, Addresses: []string{name + ":7400"}}}, 1_000_000_000)
	if err != nil {
		panic(err)
	}
	nd.disk = disk{hard: rec.HardState, snap: rec.Snapshot}
	w.boot(nd, rec)
	w.run(10 * time.Millisecond)
}

// form founds a ring at the first and lets the others join, one after the other,
// with a rest after each.
func (w *world) form(t testing.TB, s ring.Settings, rest time.Duration, names ...string) {
	t.Helper()
	w.found(names[0], s)
	for _, name := range names[1:] {
		if err := w.join(name, ring.Member{}); err != nil {
			t.Fatal(err)
		}
		w.run(rest)
	}
}

func (w *world) leader() *node {
	for _, name := range w.order {
		if nd := w.nodes[name]; nd.up && !nd.stopped && nd.n.Status(w.now).Role == "StateLeader" {
			return nd
		}
	}
	return nil
}

// request sends a request to the leader and waits for its end.
func (w *world) request(r election.Request, wait time.Duration) (election.Done, error) {
	l := w.leader()
	if l == nil {
		return election.Done{}, fmt.Errorf("no leader")
	}
	w.refs++
	r.Ref = w.refs
	w.to(l, func(now election.Instant) { l.n.Request(now, r) })
	for end := w.now.Add(wait); w.now < end; w.run(time.Millisecond) {
		if d, ok := w.done[r.Ref]; ok {
			return d, d.Err
		}
	}
	return election.Done{}, fmt.Errorf("request is not done after %v", wait)
}

func (w *world) join(name string, m ring.Member) error {
	nd := w.nodes[name]
	if nd == nil {
		nd = &node{name: name}
		w.nodes[name] = nd
		w.order = append(w.order, name)
	}
	nd.inc = w.incarnation()
	m.Name, m.Incarnation, m.Addresses = name, nd.inc, []string{name + ":7400"}
	w.joiner = nd
	if _, err := w.request(election.Request{Join: &ring.Join{Member: m}}, time.Second); err != nil {
		return err
	}
	return nil
}

// kill ends a coordinator; certify tells the voters (or only one), as its
// monitor does.
func (w *world) kill(name string, certify bool, only string) {
	nd := w.nodes[name]
	nd.up = false
	if !certify {
		return
	}
	cert := election.Certificate{Name: name, ID: nd.id, Exit: "signal: killed", Incarnation: nd.inc}
	for _, o := range w.order {
		if other := w.nodes[o]; other.up && (only == "" || only == o) && !w.cut[[2]string{name, o}] {
			c := cert
			w.after(2*time.Millisecond, func() { w.to(other, func(now election.Instant) { other.n.Certify(now, c) }) })
		}
	}
}

// suspect lets the monitor of by report about name.
func (w *world) suspect(by, name string, ev ring.Evidence) {
	b, nd := w.nodes[by], w.nodes[name]
	w.to(b, func(now election.Instant) {
		m, _ := b.n.State().Member(nd.id)
		b.n.Report(now, ring.Opinion{ID: nd.id, Incarnation: m.Incarnation, Term: b.n.State().Term, Word: ring.Suspect{Evidence: ev}})
	})
}

func (w *world) restart(name string) {
	nd := w.nodes[name]
	nd.inc = w.incarnation()
	w.boot(nd, election.Recovered{HardState: nd.disk.hard, Snapshot: nd.disk.snap, Entries: nd.disk.entries, Bound: nd.disk.bound, Restarted: true})
}

func (w *world) status() string {
	var b strings.Builder
	for _, name := range w.order {
		nd := w.nodes[name]
		switch {
		case !nd.up:
			fmt.Fprintf(&b, "%s: down\n", name)
			continue
		case nd.stopped:
			fmt.Fprintf(&b, "%s: stopped\n", name)
			continue
		}
		st, s := nd.n.State(), nd.n.Status(w.now)
		var members []string
		for _, m := range st.Members {
			members = append(members, fmt.Sprintf("%s#%d", m.Name, m.ID))
		}
		next, _ := st.NextHeir()
		_, end := nd.n.ClaimUntil()
		fmt.Fprintf(&b, "%s: id %d ring [%s] token %d leader %s heir %s claims %v voters %v learners %v\n", name, nd.id, strings.Join(members, " "), st.Term, w.name(s.Leader), next.Name, w.now < end, s.Voters, s.Learners)
	}
	return b.String()
}

func (w *world) byIncarnation(inc uint64) *node {
	for _, name := range w.order {
		if nd := w.nodes[name]; nd.inc == inc {
			return nd
		}
	}
	return nil
}

// clone starts a node from a copy of another one's disk, while that one runs.
// What is sent to the member reaches both.
func (w *world) clone(of, name string) *node {
	o := w.nodes[of]
	nd := &node{name: name, id: o.id, disk: o.disk.copy(), former: slices.Clone(o.former)}
	w.nodes[name] = nd
	w.order = append(w.order, name)
	w.restart(name)
	return nd
}

// split cuts the nodes of two sides from one another.
func (w *world) split(a, b []string) {
	for _, x := range a {
		for _, y := range b {
			w.cut[[2]string{x, y}], w.cut[[2]string{y, x}] = true, true
		}
	}
}
