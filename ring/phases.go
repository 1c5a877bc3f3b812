package ring

import "fmt"

// Phases says where the time of a failover went, by the new leader's monotonic
// clock. All but Detected are microseconds from the moment at which it learned
// that the old leader is gone; they never fall from one to the next. 0 is "at
// once" in a phase that a later one follows, and "not known" in the last ones.
type Phases struct {
	// Detected is how long the old leader had been silent towards the new one
	// by then; 0 where the evidence is not silence, and a lower layer noticed.
	Detected int64 `json:"detected,omitempty"`
	// PromisesEnded: the new leader's own promise to the old one was over.
	PromisesEnded int64 `json:"promises_ended,omitempty"`
	// Campaign: its first campaign began.
	Campaign int64 `json:"campaign,omitempty"`
	// Elected: raft made it leader.
	Elected int64 `json:"elected,omitempty"`
	// Declared: its declaration was committed.
	Declared int64 `json:"declared,omitempty"`
	// FirstClaim: a majority had promised, and it claimed.
	FirstClaim int64 `json:"first_claim,omitempty"`
}

// Timed adds to the history what the leader of Term could not know when it
// declared itself. It changes nothing else, and no epoch counts it.
type Timed struct {
	Term uint64 `json:"term"`
	// Declared and FirstClaim are those of Phases.
	Declared   int64 `json:"declared"`
	FirstClaim int64 `json:"first_claim"`
	// ClaimAfter is how long after its declaration the leader first claimed,
	// microseconds.
	ClaimAfter int64 `json:"claim_after,omitempty"`
}

// timed takes the newest leader's figures, once.
func (s *State) timed(term uint64, t Timed) error {
	n := len(s.History)
	if n == 0 || t.Term != term || s.History[n-1].Term != t.Term {
		return fmt.Errorf("%w: figures for term %d in an entry of term %d, the newest leadership is %d", ErrStale, t.Term, term, s.Term)
	}
	l := &s.History[n-1]
	p := &l.Phases
	if l.Claimed || p.Declared != 0 || p.FirstClaim != 0 {
		return fmt.Errorf("%w: the figures of term %d are known", ErrStale, t.Term)
	}
	if t.Declared < 0 || t.FirstClaim < t.Declared || t.ClaimAfter < 0 {
		return fmt.Errorf("%w: declared after %d µs and first claim after %d µs, %d µs after the declaration", ErrInvalid, t.Declared, t.FirstClaim, t.ClaimAfter)
	}
	p.Declared, p.FirstClaim = t.Declared, t.FirstClaim
	l.Claimed, l.ClaimAfter = true, t.ClaimAfter
	return nil
}
