package election

import (
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3/confchange"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/ring"
)

// What no ring reaches, beside MaxTerm. A message beyond these limits is a
// mistake or a forgery, and raft would keep it for good.
const (
	// IndexLimit is above every index of a log: so many entries are 35 years of
	// a thousand a second.
	IndexLimit = 1 << 40
	// maxIndexAhead is how far the log of a member's ring can be ahead of its
	// own: more than what the others commit before they evict it.
	maxIndexAhead = 1 << 32
	// maxTermAhead is how far a term above every wall clock's can be ahead of a
	// member's own: more elections than it can have missed.
	maxTermAhead = 1 << 20
	// maxConfChanges bounds the members that one configuration change names.
	maxConfChanges = 1024
)

// ofLeaders are the messages that only the leader of their term sends.
var ofLeaders = []raftpb.MessageType{raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap, raftpb.MsgTimeoutNow}

// errImplausible: what a message says cannot be.
var errImplausible = errors.New("implausible")

func implausible(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errImplausible, fmt.Errorf(format, args...))
}

// plausible returns why a raft message cannot come from a member of this ring
// that works as it should, or nil. Raft panics at some of these, and keeps
// others for good. What one message alone shows was checked when it was
// decoded; here it is held against what this member has.
func (r *replica) plausible(m *raftpb.Message) error {
	if err := r.plausibleTerm(m.GetTerm()); err != nil {
		return err
	}
	last, reach := r.lastIndex(), uint64(IndexLimit) // the highest index that a message may name
	if last > 0 {
		reach = min(last+maxIndexAhead, IndexLimit)
	}
	if m.GetIndex() > reach {
		return implausible("index %d, this member's log ends at %d", m.GetIndex(), last)
	}
	if slices.Contains(ofLeaders, m.GetType()) && m.GetTerm() == r.term && r.raftLead != 0 && m.GetFrom() != r.raftLead {
		return implausible("member %d leads term %d", r.raftLead, r.term)
	}
	switch m.GetType() {
	case raftpb.MsgHeartbeat:
		// A leader says no more than what this member has acknowledged.
		if m.GetTerm() >= r.term && m.GetCommit() > last {
			return implausible("index %d is said to be on this member's disk, its log ends at %d", m.GetCommit(), last)
		}
	case raftpb.MsgAppResp:
		if r.leads() && m.GetTerm() == r.term && m.GetIndex() > last {
			return implausible("index %d is acknowledged, this leader's log ends at %d", m.GetIndex(), last)
		}
	case raftpb.MsgApp:
		for _, e := range m.GetEntries() {
			c, err := plausibleEntry(e)
			if err != nil {
				return err
			}
			if isCommand(e) {
				r.commands.note(e, c)
			}
		}
	case raftpb.MsgSnap:
		s := m.GetSnapshot()
		if index := s.GetMetadata().GetIndex(); index > reach {
			return implausible("a snapshot at index %d, this member's log ends at %d", index, last)
		}
		st, _, err := readSnapshot(s)
		if err != nil {
			return implausible("%w", err)
		}
		if r.ring.RingID != "" && st.RingID != r.ring.RingID {
			return implausible("a snapshot of ring %.40q, this is ring %s", st.RingID, r.ring.RingID)
		}
	}
	return nil
}

// plausibleTerm bounds how far a message may raise this member's term. A member
// without a ring has nothing to hold it against.
func (r *replica) plausibleTerm(term uint64) error {
	reach := uint64(MaxTerm)
	if r.term != 0 {
		reach = min(reach, max(maxWall, r.term+maxTermAhead))
	}
	if term > reach {
		return implausible("term %d, this member's is %d and the next ones end at %d", term, r.term, reach)
	}
	return nil
}

// plausibleEntry returns why an entry can never be applied, or else the command in
// it, if it has one. It must be found out before the entry is on the disk: from
// there it would come back at every start.
func plausibleEntry(e *raftpb.Entry) (c ring.Command, err error) {
	switch {
	case e.GetIndex() == 0 || e.GetIndex() >= IndexLimit || e.GetTerm() == 0 || e.GetTerm() > MaxTerm:
		return c, implausible("entry %d of term %d", e.GetIndex(), e.GetTerm())
	case e.GetType() != raftpb.EntryNormal:
		_, err = confChangeOf(e)
	case len(e.GetData()) > 0:
		c, err = ring.DecodeCommand(e.GetData())
	}
	if err != nil {
		return c, implausible("entry %d of term %d cannot be read: %w; was it written by a newer version of ARC?", e.GetIndex(), e.GetTerm(), err)
	}
	return c, nil
}

// confChangeOf decodes the change of raft's configuration in an entry.
func confChangeOf(e *raftpb.Entry) (raftpb.ConfChangeI, error) {
	var cc interface {
		proto.Message
		raftpb.ConfChangeI
	}
	switch e.GetType() {
	case raftpb.EntryConfChange:
		cc = &raftpb.ConfChange{}
	case raftpb.EntryConfChangeV2:
		cc = &raftpb.ConfChangeV2{}
	default:
		return nil, fmt.Errorf("entry of type %d", e.GetType())
	}
	if err := proto.Unmarshal(e.GetData(), cc); err != nil {
		return nil, fmt.Errorf("decode configuration change: %w", err)
	}
	v2 := cc.AsV2()
	if k := len(v2.GetChanges()); k > maxConfChanges {
		return nil, fmt.Errorf("a configuration change names %d members, at most %d", k, maxConfChanges)
	}
	if _, known := raftpb.ConfChangeTransition_name[int32(v2.GetTransition())]; !known {
		return nil, fmt.Errorf("a configuration change by transition %d", v2.GetTransition())
	}
	for _, c := range v2.GetChanges() {
		if _, known := raftpb.ConfChangeType_name[int32(c.GetType())]; !known || c.GetNodeId() == 0 {
			return nil, fmt.Errorf("configuration change %d of member %d", c.GetType(), c.GetNodeId())
		}
	}
	return cc, nil
}

// confRefusal returns why raft's present configuration cannot be changed so, or
// nil. Raft panics where this returns an error; all members agree on it, since
// they apply the same changes to the same configuration.
func (r *replica) confRefusal(cc raftpb.ConfChangeI) error {
	for _, c := range cc.AsV2().GetChanges() {
		if c.GetNodeId() > r.ring.HighestID {
			return fmt.Errorf("member %d was never admitted, the highest id is %d", c.GetNodeId(), r.ring.HighestID)
		}
	}
	return r.trial.try(r.conf, cc, r.lastIndex())
}

// trial is what raft makes of a configuration, kept from one change to the next.
// To make it again for each change takes longer than the change itself.
type trial struct {
	of   *raftpb.ConfState
	trk  tracker.ProgressTracker
	next tracker.ProgressTracker // after the change that was tried last
}

// try returns why a configuration cannot be changed so, or nil. last is the last
// index of the log.
func (t *trial) try(conf *raftpb.ConfState, cc raftpb.ConfChangeI, last uint64) error {
	if t.of != conf {
		t.of, t.trk = nil, tracker.MakeProgressTracker(1, 0)
		cfg, progress, err := confchange.Restore(confchange.Changer{Tracker: t.trk, LastIndex: last}, conf)
		if err != nil {
			return err
		}
		t.of, t.trk.Config, t.trk.Progress = conf, cfg, progress
	}
	v2, change := cc.AsV2(), confchange.Changer{Tracker: t.trk, LastIndex: last}
	t.next = t.trk
	var err error
	if v2.LeaveJoint() {
		t.next.Config, t.next.Progress, err = change.LeaveJoint()
	} else if auto, joint := v2.EnterJoint(); joint {
		t.next.Config, t.next.Progress, err = change.EnterJoint(auto, v2.GetChanges()...)
	} else {
		t.next.Config, t.next.Progress, err = change.Simple(v2.GetChanges()...)
	}
	return err
}

// changed notes that the change that was tried last made this configuration.
func (t *trial) changed(conf *raftpb.ConfState) { t.of, t.trk = conf, t.next }

// plausibleConf returns why raft cannot start from a configuration, or nil.
func plausibleConf(cs *raftpb.ConfState) error {
	k := len(cs.GetVoters()) + len(cs.GetLearners()) + len(cs.GetVotersOutgoing()) + len(cs.GetLearnersNext())
	if len(cs.GetVoters()) == 0 || k > 4*maxConfChanges {
		return fmt.Errorf("a configuration of %d voters and %d members", len(cs.GetVoters()), k)
	}
	trk := tracker.MakeProgressTracker(1, 0)
	cfg, progress, err := confchange.Restore(confchange.Changer{Tracker: trk}, cs)
	if err != nil {
		return fmt.Errorf("a configuration that contradicts itself: %w", err)
	}
	trk.Config, trk.Progress = cfg, progress
	if err := cs.Equivalent(trk.ConfState()); err != nil {
		return errors.New("a configuration that names members twice")
	}
	return nil
}

// readSnapshot returns the state in a snapshot, and the former members whose
// log or answers may still be needed. It refuses what no member ever made.
func readSnapshot(s *raftpb.Snapshot) (*ring.State, []ring.Member, error) {
	meta := s.GetMetadata()
	fail := func(err error) (*ring.State, []ring.Member, error) {
		return nil, nil, fmt.Errorf("restore snapshot at index %d: %w", meta.GetIndex(), err)
	}
	if meta.GetIndex() == 0 || meta.GetIndex() >= IndexLimit || meta.GetTerm() == 0 || meta.GetTerm() > MaxTerm {
		return fail(fmt.Errorf("%w: index %d of term %d", ring.ErrInvalid, meta.GetIndex(), meta.GetTerm()))
	}
	st, gone, err := ring.Restore(s.GetData())
	if err != nil {
		return fail(err)
	}
	// Each entry adds one epoch at most, and a leader's declaration is of its
	// own term.
	if st.Epoch > meta.GetIndex() || st.Term > meta.GetTerm() {
		return fail(fmt.Errorf("%w: epoch %d of token %d in a snapshot at index %d of term %d", ring.ErrInvalid, st.Epoch, st.Term, meta.GetIndex(), meta.GetTerm()))
	}
	if err := plausibleConf(meta.GetConfState()); err != nil {
		return fail(fmt.Errorf("%w: %w", ring.ErrInvalid, err))
	}
	cs := meta.GetConfState()
	neverAdmitted := func(id uint64) bool { return id == 0 || id > st.HighestID }
	for _, ids := range [][]uint64{cs.GetVoters(), cs.GetLearners(), cs.GetVotersOutgoing(), cs.GetLearnersNext()} {
		if slices.ContainsFunc(ids, neverAdmitted) {
			return fail(fmt.Errorf("%w: configuration %s, the highest id is %d", ring.ErrInvalid, ring.IDs(ids[:min(len(ids), 16)]), st.HighestID))
		}
	}
	for _, m := range gone {
		if neverAdmitted(m.ID) {
			return fail(fmt.Errorf("%w: former member %d, the highest id is %d", ring.ErrInvalid, m.ID, st.HighestID))
		}
	}
	return st, gone, nil
}

// plausibleRecord returns why a Node must not start from what the storage gave
// back, or nil.
func plausibleRecord(rec Recovered) error {
	if t := rec.HardState.GetTerm(); t > MaxTerm {
		return fmt.Errorf("election: %w: term %d, no term is above %d", ring.ErrInvalid, t, uint64(MaxTerm))
	}
	if c := rec.HardState.GetCommit(); c >= IndexLimit {
		return fmt.Errorf("election: %w: commit index %d", ring.ErrInvalid, c)
	}
	before := raftpb.Entry{Index: new(rec.Snapshot.GetMetadata().GetIndex()), Term: new(rec.Snapshot.GetMetadata().GetTerm())}
	for i, e := range rec.Entries {
		if _, err := plausibleEntry(e); err != nil {
			return fmt.Errorf("election: %w: %w", ring.ErrInvalid, err)
		}
		if i > 0 && (e.GetIndex() != before.GetIndex()+1 || e.GetTerm() < before.GetTerm()) {
			return fmt.Errorf("election: %w: entry %d of term %d follows entry %d of term %d", ring.ErrInvalid, e.GetIndex(), e.GetTerm(), before.GetIndex(), before.GetTerm())
		}
		before.Index, before.Term = e.Index, e.Term
	}
	return nil
}
