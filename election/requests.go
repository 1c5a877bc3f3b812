package election

import (
	"fmt"
	"slices"

	"github.com/arc-ring/arc/ring"
)

// Never64 is raft's "no limit" for sizes.
const Never64 = ^uint64(0)

// waiting is a request that is applied but not yet done: a member that leaves
// may stop only when raft no longer counts on it.
type waiting struct {
	ref, gone uint64
}

// requests carries out what operators and joiners ask for.
type requests struct {
	*leadership
	caretaker *caretaker
	identity  *identity
	proposals *proposals
}

func (q *requests) request(r Request) {
	l := q.lead
	if r.Join != nil {
		if id, ok := q.ring.JoinedAs(r.Join.Member.Name, r.Join.Member.Incarnation, r.Join.Member.Nonce); ok {
			q.emit(Done{Ref: r.Ref, ID: id}) // a retry of what is committed
			return
		}
	}
	if l == nil || !q.declared() && (r.Join == nil || !l.heirless) {
		q.emit(Done{Ref: r.Ref, Err: ErrNotLeader})
		return
	}
	if l.handover != nil {
		q.emit(Done{Ref: r.Ref, Err: ErrBusy})
		return
	}
	switch {
	case r.Join != nil:
		q.join(r.Ref, *r.Join)
	case r.Leave != nil:
		if r.Leave.ID == q.cfg.ID {
			q.emit(Done{Ref: r.Ref, Err: ErrIsLeader})
			return
		}
		q.proposals.propose(proposal{req: r.Ref, id: r.Leave.ID}, ring.Command{Leave: r.Leave})
	case r.Stop != nil:
		q.stopping(r.Ref, r.Stop.ID)
	case r.Evict != nil:
		if r.Evict.ID == q.cfg.ID {
			q.emit(Done{Ref: r.Ref, Err: ErrIsLeader})
			return
		}
		q.proposals.propose(proposal{req: r.Ref}, ring.Command{Evict: r.Evict})
	case r.Forget != nil:
		q.proposals.propose(proposal{req: r.Ref}, ring.Command{Forget: r.Forget})
	case r.Settings != nil:
		if err := r.Settings.Validate(); err != nil {
			q.emit(Done{Ref: r.Ref, Err: fmt.Errorf("%w: %w", ring.ErrInvalid, err)})
			return
		}
		q.proposals.propose(proposal{req: r.Ref}, ring.Command{Settings: r.Settings})
	case r.Handover != nil:
		q.beginHandover(r.Ref, r.Handover.To, r.Handover.Why)
	default:
		q.emit(Done{Ref: r.Ref, Err: fmt.Errorf("%w: empty request", ring.ErrInvalid)})
	}
}

func (q *requests) proposalApplied(c ring.Command, changes []ring.Change, err error) {
	l := q.lead
	p, ok := q.proposals.take(c.Ref)
	if !ok {
		return
	}
	if c.Appoint != nil && err != nil && l.handover != nil {
		q.endHandover(err)
	}
	if c.Join != nil && err == nil && c.Join.Member.OnJoin == ring.Lead {
		l.wantsLead = changes[len(changes)-1].Member.ID
	}
	if p.req == 0 {
		return
	}
	if c.Join != nil && err != nil {
		if id, ok := q.ring.JoinedAs(c.Join.Member.Name, c.Join.Member.Incarnation, c.Join.Member.Nonce); ok { // by another try
			q.emit(Done{Ref: p.req, ID: id})
			return
		}
	}
	switch {
	case err != nil:
		q.emit(Done{Ref: p.req, Err: err})
	case c.Join != nil:
		q.emit(Done{Ref: p.req, ID: changes[len(changes)-1].Member.ID})
	case c.Leave != nil:
		l.requests = append(l.requests, waiting{ref: p.req, gone: p.id})
	default:
		q.emit(Done{Ref: p.req})
	}
}

// completeRequests ends those that waited for raft's configuration.
func (q *requests) completeRequests() {
	l := q.lead
	l.requests = slices.DeleteFunc(l.requests, func(w waiting) bool {
		if q.needed(w.gone) {
			return false
		}
		q.emit(Done{Ref: w.ref})
		return true
	})
}
