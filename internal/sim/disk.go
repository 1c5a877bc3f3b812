package sim

import (
	"math/rand/v2"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
)

// image is what a data directory holds.
type image struct {
	id uint64 // 0: no member's
	// former are the incarnations that ran on it, newest first.
	former []uint64
	// others are where the other members of the ring were that it was in last.
	others []string
	hs     *raftpb.HardState
	snap   *raftpb.Snapshot
	first  uint64 // index of ents[0]
	ents   []*raftpb.Entry
	bound  time.Duration
}

// write carries out one record. false: it leaves a gap in the log.
func (im *image) write(p *election.Persist) bool {
	if p.HardState != nil {
		im.hs = p.HardState
	}
	if p.Bound != 0 {
		im.bound = p.Bound
	}
	if p.Snapshot != nil {
		im.snap = p.Snapshot
		next := p.Snapshot.GetMetadata().GetIndex() + 1
		switch {
		case p.Reset || next > im.first+uint64(len(im.ents)):
			im.ents, im.first = nil, next
		case next > im.first:
			im.ents, im.first = append([]*raftpb.Entry(nil), im.ents[next-im.first:]...), next
		}
	}
	if len(p.Entries) > 0 {
		at := p.Entries[0].GetIndex()
		if im.first == 0 {
			im.first = 1
		}
		if at < im.first || at > im.first+uint64(len(im.ents)) {
			return false
		}
		im.ents = append(im.ents[:at-im.first], p.Entries...)
	}
	return true
}

// empty tells that a member's log was never written.
func (im *image) empty() bool { return im.snap == nil && len(im.ents) == 0 }

// last is the term of the last entry.
func (im *image) last() uint64 {
	if n := len(im.ents); n > 0 {
		return im.ents[n-1].GetTerm()
	}
	return im.snap.GetMetadata().GetTerm()
}

func (im *image) recovered() election.Recovered {
	return election.Recovered{
		HardState: im.hs, Snapshot: im.snap, Entries: append([]*raftpb.Entry(nil), im.ents...),
		Bound: im.bound, Restarted: true,
	}
}

// disk is a data directory and the queue in front of it. Records complete in
// order; several that wait are written and synced together.
type disk struct {
	durable  image
	unsynced []*election.Persist // written, in the page cache
	busy     []*election.Persist // being written
	waiting  []*election.Persist
	done     []uint64      // completed, the core is not told yet
	working  bool          // between the start of a batch and the core knowing of its end
	slow     time.Duration // extra time of two syncs in three, at most
	stuck    time.Duration // extra time of every sync
	// slowUntil is when the newest sync that took long was done.
	slowUntil int64
	// asked is when the core handed out each record of which it does not know that it is
	// done, the oldest first. A process that is stopped then writes it later.
	asked []int64
	full  bool
	gen   uint32
}

func (d *disk) flush(s *Sim, node int) {
	for _, p := range d.unsynced {
		if !d.durable.write(p) {
			s.fail("disk", "%s persists entries that leave a gap: from %d, the log is %d to %d", s.nodes[node].name,
				p.Entries[0].GetIndex(), d.durable.first, d.durable.first+uint64(len(d.durable.ents))-1)
			return
		}
	}
	clear(d.unsynced)
	d.unsynced = d.unsynced[:0]
}

// crash drops what was not written. With the power gone, a random part of
// what was not synced goes too.
func (d *disk) crash(s *Sim, node int, power bool, rnd *rand.Rand) {
	written := rnd.IntN(len(d.busy) + 1)
	d.unsynced = append(d.unsynced, d.busy[:written]...)
	d.busy, d.waiting, d.done, d.asked, d.working = nil, nil, nil, nil, false
	d.gen++
	if power && len(d.unsynced) > 0 {
		kept := rnd.IntN(len(d.unsynced) + 1)
		s.stats.count("disk: unsynced records lost", len(d.unsynced)-kept)
		d.unsynced = d.unsynced[:kept]
	}
	// What a restarted process reads it syncs before it acts upon it.
	d.flush(s, node)
}

// dropRing empties the directory but for the incarnations that ran on it,
// and where the former ring was.
func (d *disk) dropRing() {
	former, others := d.durable.former, d.durable.others
	d.wipe()
	d.durable.former, d.durable.others = former, others
}

func (d *disk) wipe() {
	d.durable = image{}
	d.unsynced, d.busy, d.waiting, d.done, d.asked, d.working = nil, nil, nil, nil, nil, false
	d.gen++
}

// persist queues a record of the core.
func (s *Sim) persist(n *node, p *election.Persist) {
	n.disk.waiting = append(n.disk.waiting, p)
	if !n.disk.working {
		s.diskStart(n)
	}
}

func (s *Sim) diskStart(n *node) {
	d := &n.disk
	if len(d.waiting) == 0 || !n.up {
		return
	}
	if d.full {
		s.stats.count("disk: full, process stops", 1)
		s.tracef(n, "disk full: the coordinator stops")
		s.exit(n, "disk full")
		s.restartAfter(n, s.between(n.rnd, 200*time.Millisecond, time.Second))
		return
	}
	k := min(len(d.waiting), 16)
	d.busy = append(d.busy[:0], d.waiting[:k]...)
	d.waiting = append(d.waiting[:0], d.waiting[k:]...)
	d.working = true
	took := s.between(n.rnd, 10*time.Microsecond, 40*time.Microsecond)
	for _, p := range d.busy {
		if p.Sync {
			took += s.between(n.rnd, 60*time.Microsecond, 250*time.Microsecond)
			if n.rnd.IntN(256) == 0 {
				took += s.between(n.rnd, time.Millisecond, 20*time.Millisecond)
			}
			if d.slow > 0 && n.rnd.IntN(3) > 0 {
				took += s.between(n.rnd, d.slow/4, d.slow)
				s.stats.count("disk: slow syncs", 1)
			}
			took += d.stuck
			break
		}
	}
	if took > 50*time.Millisecond {
		d.slowUntil = s.now + int64(took)
	}
	s.q.push(event{at: s.now + int64(took), kind: evDisk, node: int16(n.idx), gen: d.gen})
}

// hungFor is for how long the oldest record has not been done.
func (d *disk) hungFor(now int64) time.Duration {
	if len(d.asked) == 0 {
		return 0
	}
	return time.Duration(now - d.asked[0])
}

// diskDone completes the batch under way.
func (s *Sim) diskDone(n *node, gen uint32) {
	d := &n.disk
	if gen != d.gen || !n.up {
		return
	}
	sync := false
	for _, p := range d.busy {
		sync = sync || p.Sync
		d.done = append(d.done, p.Seq)
	}
	d.unsynced = append(d.unsynced, d.busy...)
	d.busy = d.busy[:0]
	if sync || len(d.unsynced) > 512 {
		d.flush(s, n.idx)
	}
	s.diskTell(n)
}

// unstick ends a fault of the disk: the batch that it held up is soon done.
func (s *Sim) unstick(n *node) {
	d := &n.disk
	if len(d.busy) == 0 || d.slowUntil <= s.now || d.stuck > 0 || d.slow > 0 {
		return
	}
	d.gen++
	d.slowUntil = s.now + int64(time.Millisecond)
	s.q.push(event{at: d.slowUntil, kind: evDisk, node: int16(n.idx), gen: d.gen})
}

// diskTell tells the core what has completed. A pause in the midst of it
// leaves the rest for the resume.
func (s *Sim) diskTell(n *node) {
	d := &n.disk
	g := n.gen
	for len(d.done) > 0 && n.gen == g && n.core != nil && s.failure == nil {
		if n.paused {
			n.inbox = append(n.inbox, event{kind: evDisk, node: int16(n.idx), gen: d.gen, n: 1})
			return
		}
		seq := d.done[0]
		d.done = append(d.done[:0], d.done[1:]...)
		d.asked = append(d.asked[:0], d.asked[1:]...)
		n.core.Persisted(n.clock.local(s.now), seq)
		s.stepped(n)
	}
	if n.gen == g && n.core != nil {
		d.working = false
		s.diskStart(n)
	}
}
