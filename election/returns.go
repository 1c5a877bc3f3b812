package election

import (
	"cmp"
	"slices"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// loggedReturn is an entry that gives a member another process: its return, or the
// declaration of a leader whose return is not committed. That one names no addresses.
type loggedReturn struct {
	index, id, incarnation uint64
	addresses              []string
}

// noteReturns takes down which of these entries, new in the log, give a member
// another process.
func (i *identity) noteReturns(entries []*raftpb.Entry) {
	if len(entries) == 0 {
		return
	}
	first := entries[0].GetIndex()
	i.logged = slices.DeleteFunc(i.logged, func(l loggedReturn) bool { return l.index >= first || l.index <= i.applied })
	for _, e := range entries {
		if !isCommand(e) {
			continue
		}
		c, err := i.commands.read(e)
		switch {
		case err != nil:
		case c.Return != nil:
			i.logged = append(i.logged, loggedReturn{e.GetIndex(), c.Return.ID, c.Return.Incarnation, slices.Clone(c.Return.Addresses)})
		case c.Declare != nil && c.Declare.Incarnation != 0 && c.Declare.Incarnation != i.processInLog(c.Declare.ID):
			i.logged = append(i.logged, loggedReturn{e.GetIndex(), c.Declare.ID, c.Declare.Incarnation, nil})
		}
	}
}

// processInLog returns the process that the ring will have recorded for a member, if
// what this member knows of the log is committed.
func (i *identity) processInLog(id uint64) uint64 {
	return cmp.Or(i.newestReturn(id).incarnation, i.memberOrGone(id).Incarnation)
}

// noteSnapshot does the same for a snapshot that is not on the disk yet.
func (i *identity) noteSnapshot(s *raftpb.Snapshot) {
	next, _, err := readSnapshot(s)
	if err != nil {
		return // restore says so
	}
	for _, is := range next.Members {
		if was, ok := i.ring.Member(is.ID); ok && was.Incarnation != is.Incarnation {
			i.logged = append(i.logged, loggedReturn{s.GetMetadata().GetIndex(), is.ID, is.Incarnation, is.Addresses})
		}
	}
}

// replacedInLog reports whether an entry of this member's log gives the place of
// a process to another one. That entry may be committed, and the other one may
// have acknowledged more since, even if it has ended. So only a process counts
// that was started from its directory later. In a pair this member has all.
func (i *identity) replacedInLog(id, incarnation uint64) bool {
	l := i.newestReturn(id)
	return l.index != 0 && l.incarnation != incarnation && !i.follows(id, incarnation, l.incarnation) && !i.everyMajorityNeedsMe()
}

// follows reports whether a process of a member has announced that it was
// started from the directory of a former one.
func (i *identity) follows(id, incarnation, former uint64) bool {
	r := i.announcedBy(id, incarnation)
	return r != nil && slices.Contains(r.Former, former)
}

// announcedBy returns what the holder of a member, or one that claims to be it,
// said of itself; nil if that is not known.
func (i *identity) announcedBy(id, incarnation uint64) *Return {
	p := i.roster.peers.Value(id)
	if r := p.announced; r != nil && r.Incarnation == incarnation {
		return r
	}
	if c := p.claim; c != nil && c.incarnation == incarnation {
		return c.ret
	}
	return nil
}

// livesAt returns where a process of a member listens; not known, where the
// member does.
func (i *identity) livesAt(m ring.Member, incarnation uint64) (addresses []string, known bool) {
	if r := i.announcedBy(m.ID, incarnation); r != nil {
		return r.Addresses, true
	}
	if incarnation == m.Incarnation {
		return m.Addresses, true
	}
	if l := i.newestReturn(m.ID); l.incarnation == incarnation && len(l.addresses) > 0 {
		return l.addresses, true
	}
	if p := i.roster.peers.Value(m.ID).met; p.incarnation == incarnation {
		return p.addresses, true
	}
	return m.Addresses, false
}

// placeOf returns where a member's process announced that it listens, else where
// the member does; and also where an entry says that is not applied yet: it may have
// moved since.
func (i *identity) placeOf(m ring.Member) []string {
	at := m.Addresses
	if r := i.announcedBy(m.ID, m.Incarnation); r != nil && len(r.Addresses) > 0 {
		at = r.Addresses
	}
	if l := i.newestReturn(m.ID); l.incarnation == m.Incarnation {
		for _, a := range l.addresses {
			if !slices.Contains(at, a) {
				at = append(slices.Clip(at), a)
			}
		}
	}
	return at
}

// newestReturn returns the newest entry that is not applied and gives a member
// another process; with index 0 if there is none.
func (i *identity) newestReturn(id uint64) loggedReturn {
	for _, l := range slices.Backward(i.logged) {
		if l.id == id && l.index > i.applied {
			return l
		}
	}
	return loggedReturn{}
}
