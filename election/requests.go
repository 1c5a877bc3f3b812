package election

import (
	"errors"
	"fmt"
	"slices"

	"github.com/arc-ring/arc/ring"
)

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
	if r.Join != nil {
		if id, ok := q.ring.JoinedAs(r.Join.Member.Name, r.Join.Member.Incarnation, r.Join.Member.Nonce); ok {
			q.emit(Done{Ref: r.Ref, ID: id}) // a retry of what is committed
			return
		}
	}
	if err := q.begin(r); err != nil {
		q.emit(Done{Ref: r.Ref, Err: err})
	}
}

// begin begins what is asked for. It returns why it does not.
func (q *requests) begin(r Request) error {
	switch l := q.lead; {
	case l == nil || !q.declared() && (r.Join == nil || !l.heirless):
		return ErrNotLeader
	case l.handover != nil:
		return ErrBusy
	case r.Leave != nil && r.Leave.ID == q.cfg.ID, r.Evict != nil && r.Evict.ID == q.cfg.ID:
		return ErrIsLeader
	case r.Join != nil:
		return q.join(r.Ref, *r.Join)
	case r.Stop != nil:
		return q.stopping(r.Ref, r.Stop.ID)
	case r.Handover != nil:
		return q.beginHandover(r.Ref, r.Handover.To, r.Handover.Why)
	case r.Leave != nil, r.Evict != nil, r.Forget != nil, r.Settings != nil:
		if r.Settings != nil {
			if err := r.Settings.Validate(); err != nil {
				return fmt.Errorf("%w: %w", ring.ErrInvalid, err)
			}
		}
		q.proposals.propose(proposal{req: r.Ref}, ring.Command{Leave: r.Leave, Evict: r.Evict, Forget: r.Forget, Settings: r.Settings})
	default:
		return fmt.Errorf("%w: empty request", ring.ErrInvalid)
	}
	return nil
}

// proposalApplied follows up on a command of this leader that is applied, or has no
// effect.
func (q *requests) proposalApplied(c ring.Command, err error) {
	l := q.lead
	p, ok := q.proposals.take(c.Ref)
	if !ok {
		return
	}
	if c.Appoint != nil && err != nil && l.handover != nil {
		q.endHandover(err)
	}
	done := Done{Ref: p.req, Err: err}
	if c.Join != nil {
		if id, ok := q.ring.JoinedAs(c.Join.Member.Name, c.Join.Member.Incarnation, c.Join.Member.Nonce); ok {
			done.ID, done.Err = id, nil // perhaps by another try
		} else if errors.Is(err, ring.ErrNameInUse) {
			// The name was free when this began. At the next try this leader looks whether
			// the one that has it now lives.
			done.Err = fmt.Errorf("%w: another process joined as %q before", ErrBusy, c.Join.Member.Name)
		}
		if err == nil && c.Join.Member.OnJoin == ring.Lead {
			l.wantsLead = done.ID
		}
	}
	switch {
	case p.req == 0:
	case c.Leave != nil && err == nil:
		l.requests = append(l.requests, waiting{ref: p.req, gone: c.Leave.ID})
	default:
		q.emit(done)
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
