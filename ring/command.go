package ring

import (
	"encoding/json"
	"fmt"
)

// A Command is one entry of the replicated log: exactly one of its pointers
// is set. The JSON names are those of log version 1, and of traces.
type Command struct {
	// Ref is the proposer's number for it, meaningless to others.
	Ref      uint64    `json:"ref,omitempty"`
	Found    *Found    `json:"found,omitempty"`
	Join     *Join     `json:"join,omitempty"`
	Leave    *Leave    `json:"leave,omitempty"`
	Evict    *Evict    `json:"evict,omitempty"`
	Declare  *Declare  `json:"declare,omitempty"`
	Appoint  *Appoint  `json:"appoint,omitempty"`
	Settings *Settings `json:"settings,omitempty"`
	Return   *Return   `json:"return,omitempty"`
	// Seal changes nothing in the ring; package election reads it.
	Seal        *Seal        `json:"seal,omitempty"`
	Timed       *Timed       `json:"timed,omitempty"`
	Interrupted *Interrupted `json:"interrupted,omitempty"`
	Forget      *Forget      `json:"forget,omitempty"`
	Require     *Require     `json:"-"`
}

// Found makes the ring, with its founder as the first member under id 1. It is
// never in a log: it is applied to the zero State before the first snapshot.
type Found struct {
	Cluster string `json:"cluster"`
	RingID  string `json:"ring_id"`
	Founder Member `json:"founder"`
	// Others accepted the founder. They are members from the start, so that
	// nobody leads before a majority of them is there.
	Others   []Member `json:"others,omitempty"`
	Settings Settings `json:"settings"`
}

// Join admits a member. Its id is allocated when the command is applied.
type Join struct {
	Member Member `json:"member"`
	// Replaces is the id of an older self with the same name, 0 for none; it
	// is evicted by the same command.
	Replaces uint64 `json:"replaces,omitempty"`
}

// Leave removes a member by its own wish.
type Leave struct {
	ID uint64 `json:"id"`
	// At is the leader's wall clock, Unix microseconds; 0 if it was not recorded.
	At int64 `json:"at,omitempty"`
}

// Evict removes a member that is thought dead.
type Evict struct {
	ID uint64 `json:"id"`
	// Incarnation that the evidence is about; 0 for any. Another incarnation
	// is not evicted.
	Incarnation uint64   `json:"incarnation,omitempty"`
	Evidence    Evidence `json:"evidence"`
	// By is the id of the member whose monitor reported it, or that noticed it by itself.
	By uint64 `json:"by,omitempty"`
	// At is the leader's wall clock, Unix microseconds; 0 in a declaration, which
	// has its own, or if it was not recorded.
	At int64 `json:"at,omitempty"`
}

// Declare begins a leadership. It is accepted only in the term that it names,
// and only from the heir, with those in Evict taken for dead.
type Declare struct {
	Term        uint64  `json:"term"`
	ID          uint64  `json:"id"`
	Incarnation uint64  `json:"incarnation"`
	Evict       []Evict `json:"evict,omitempty"`
	// Since is the declarer's wall clock, Unix microseconds. Gap, CertainGap and
	// GapAtLeast are those of a Leadership, up to the declaration.
	Since      int64  `json:"since"`
	Gap        int64  `json:"gap"`
	CertainGap int64  `json:"certain_gap,omitempty"`
	GapAtLeast bool   `json:"gap_at_least,omitempty"`
	Why        string `json:"why"`
	Clean      bool   `json:"clean,omitempty"`
	// Evidence is what the declarer holds against the old leader, By the id of
	// who saw it; empty: what the eviction in Evict says.
	Evidence Evidence `json:"evidence,omitempty"`
	By       uint64   `json:"by,omitempty"`
	// Phases up to Elected; the rest follows in Timed.
	Phases Phases `json:"phases,omitzero"`
}

// Appoint names who must lead next; To 0 takes an appointment back.
type Appoint struct {
	To  uint64 `json:"to"`
	Why string `json:"why"`
}

// Return records that a member was restarted with its disk: a new incarnation
// under the same id.
type Return struct {
	ID          uint64   `json:"id"`
	Incarnation uint64   `json:"incarnation"`
	Addresses   []string `json:"addresses"`
	Version     string   `json:"version,omitempty"`
	// LogVersion is the newest log version that the process reads.
	LogVersion uint32 `json:"-"`
}

// Seal says that raft's configuration with these voters, ascending, is known to
// be committed by those who have this entry.
type Seal struct {
	Voters []uint64 `json:"voters"`
}

// Beside reports whether the command concerns the memory of the ring alone, not
// the ring: nobody has to act on it, and no epoch counts it.
func (c Command) Beside() bool {
	return c.Timed != nil || c.Interrupted != nil || c.Forget != nil || c.Require != nil
}

// String is the command as traces show it.
func (c Command) String() string {
	if c.Require != nil {
		return fmt.Sprintf("require log version %d", c.Require.LogVersion)
	}
	b, err := json.Marshal(c)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
