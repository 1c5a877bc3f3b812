package ring

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// HistoryKept is how many leaderships a State keeps; older ones are dropped
// from the front. The rank of a name as former leader survives in Led.
const HistoryKept = 256

// TermLimit is above every term and token. Terms begin with the Unix time in
// seconds, so the limit is centuries away; the tokens of groups need it.
const TermLimit = 1 << 33

// LedKept bounds how many names are remembered as former leaders.
const LedKept = 1024

// Member is one joined coordinator.
type Member struct {
	ID          uint64   `json:"id"`
	Name        string   `json:"name"`
	Incarnation uint64   `json:"incarnation"`
	Addresses   []string `json:"addresses"`
	Witness     bool     `json:"witness,omitempty"`
	OnJoin      OnJoin   `json:"on_join,omitempty"`
	// Nonce makes a retried join find the member that the first try made.
	Nonce uint64 `json:"nonce,omitempty"`
	// Version is what the member runs; empty if it did not say.
	Version string `json:"version,omitempty"`
	// LogVersion is the newest log version that the member reads; 0 if it did not say.
	LogVersion uint32 `json:"-"`
}

// Is reports whether a return says nothing that is not recorded of the member.
func (m *Member) Is(r Return) bool {
	return m.Incarnation == r.Incarnation && slices.Equal(m.Addresses, r.Addresses) && m.Version == r.Version && m.LogVersion == r.LogVersion
}

// OnJoin is what a newcomer wants: to be there, or to lead at once.
type OnJoin string

const (
	// Stay (the default) leads only when needed.
	Stay OnJoin = "stay"
	// Lead is ARC's original rule: the newest joiner is handed the leadership.
	Lead OnJoin = "lead"
)

// Evidence is why somebody is thought dead, or why a leadership ended.
type Evidence string

const (
	// Certified: its own monitor saw the process exit.
	Certified Evidence = "certified"
	// Refused: its host answers, nobody listens.
	Refused Evidence = "refused"
	// Reset: the stream broke and could not be had again.
	Reset Evidence = "reset"
	// Silent: probes stay unanswered.
	Silent Evidence = "silent"
	// Operator: a person said so.
	Operator Evidence = "operator"
	// Replaced: the same name came back from the same machine.
	Replaced Evidence = "replaced"
	// Unanswered: no majority answered the leader, so that its lease ran out; and
	// then it led again itself.
	Unanswered Evidence = "unanswered"
	// BornAgain: the leader's process was started again, and led again itself.
	BornAgain Evidence = "restarted"
)

// Leadership is one declared leadership.
type Leadership struct {
	// Term is the raft term of the declaration and the fencing token.
	Term uint64 `json:"term"`
	Name string `json:"name"`
	ID   uint64 `json:"id"`
	// Since is the leader's wall clock at its declaration, Unix microseconds.
	// For people; nothing is decided by it.
	Since int64 `json:"since"`
	// Why is a short sentence.
	Why string `json:"why"`
	// Gap is the time between the last moment at which somebody is known to have
	// led and this declaration, by the best knowledge of those who elected this
	// leader, microseconds. CertainGap is that part of it in which nobody can have
	// claimed: a leader that is not heard may go on for a lease. With GapAtLeast
	// none of them remembers the leadership before: the gap was longer.
	Gap        int64 `json:"gap"`
	CertainGap int64 `json:"certain_gap,omitempty"`
	GapAtLeast bool  `json:"gap_at_least,omitempty"`
	// Claimed is true when the leader has told of its first claim, ClaimAfter how
	// long after its declaration that was, microseconds.
	Claimed    bool  `json:"claimed,omitempty"`
	ClaimAfter int64 `json:"claim_after,omitempty"`
	// Interruptions of the claim within the term, the newest last.
	Interruptions []Interruption `json:"interruptions,omitempty"`
	// Evidence against the previous leader; empty for a planned change.
	Evidence Evidence `json:"evidence,omitempty"`
	// SeenBy is the name of who saw it: the member whose monitor reported it, or the
	// new leader, which noticed it by itself before any monitor had reported it; with a
	// certificate the previous leader, whose own monitor wrote it.
	SeenBy string `json:"seen_by,omitempty"`
	// Phases is zero if nobody had to find out: the first leadership, or a
	// leader that was elected again without a loss that it knew of.
	Phases Phases `json:"phases,omitzero"`
	// After is the previous leader's name.
	After string `json:"after,omitempty"`
	// Clean is true if the previous leadership is known to have ended with
	// nothing of its local work left.
	Clean bool `json:"clean,omitempty"`
}

// Outage returns for how long there was no leader before this one's first claim
// (before its declaration while it has not told): from the last moment at which
// somebody is known to have led, and from the last at which somebody can have
// claimed.
func (l *Leadership) Outage() (known, certain time.Duration) {
	us := func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
	return us(l.Gap + l.ClaimAfter), us(l.CertainGap + l.ClaimAfter)
}

// LastLed remembers the newest term in which a name led.
type LastLed struct {
	Name string `json:"name"`
	Term uint64 `json:"term"`
}

// Designation names who must lead next although the leader is alive: a
// handover to a named member, or to a joiner that asked for it.
type Designation struct {
	To uint64 `json:"to"`
	// Why is a short sentence for the history.
	Why string `json:"why"`
	// Recovered: the ring was founded again for it, and nobody saw the former
	// leader's work end.
	Recovered bool `json:"recovered,omitempty"`
}

// State is the committed ring. The zero State is an empty, unfounded ring.
type State struct {
	Cluster   string `json:"cluster"`
	RingID    string `json:"ring_id"`
	Epoch     uint64 `json:"epoch"`
	HighestID uint64 `json:"highest_id"`
	// Members are in ring order, which is the order of their ids.
	Members []Member `json:"members"`
	// Term is the newest token; LeaderID who declared it (0: gone, or none yet).
	Term       uint64       `json:"term"`
	LeaderID   uint64       `json:"leader_id"`
	History    []Leadership `json:"history"`
	Led        []LastLed    `json:"led"`
	Designated *Designation `json:"designated,omitempty"`
	// Departed are former members, the newest last.
	Departed []Departed `json:"departed,omitempty"`
	Settings Settings   `json:"settings"`
	// Refounding is how the ring was founded again last; zero if it never was.
	Refounding Refounding `json:"refounding,omitzero"`
	// LogVersion is the one that every member has to read; 0 before the first Require.
	LogVersion uint32 `json:"-"`
}

// Refounding tells a ring that was founded again from its former self, which has
// the same id.
type Refounding struct {
	// At is the Unix time in microseconds, From the name of the node whose disk it
	// was founded from.
	At   int64  `json:"at"`
	From string `json:"from"`
}

// Member returns the member with the id.
func (s *State) Member(id uint64) (Member, bool) {
	i, ok := s.index(id)
	if !ok {
		return Member{}, false
	}
	return s.Members[i], true
}

// JoinedAs returns the id of the member that an earlier try of the same join
// made: one of this name, by this process, with this nonce.
func (s *State) JoinedAs(name string, incarnation, nonce uint64) (id uint64, ok bool) {
	m, ok := s.MemberByName(name)
	return m.ID, ok && m.Incarnation == incarnation && m.Nonce == nonce
}

// MemberByName returns the member with the name.
func (s *State) MemberByName(name string) (Member, bool) {
	return find(s.Members, func(m Member) bool { return m.Name == name })
}

// find returns the first of the list that is wanted.
func find[T any](list []T, wanted func(T) bool) (found T, ok bool) {
	if i := slices.IndexFunc(list, wanted); i >= 0 {
		return list[i], true
	}
	return found, false
}

// Gone reports whether the id was once allocated and is no member any more.
func (s *State) Gone(id uint64) bool {
	_, ok := s.index(id)
	return !ok && id != 0 && id <= s.HighestID
}

// Leader returns the member whose declaration is the newest, if it is still a
// member.
func (s *State) Leader() (Member, bool) { return s.Member(s.LeaderID) }

// Successor returns the member that id monitors: the next one in ring order,
// the first for the last. A ring of one monitors nobody.
func (s *State) Successor(id uint64) (Member, bool) {
	i, ok := s.index(id)
	if !ok || len(s.Members) < 2 {
		return Member{}, false
	}
	return s.Members[(i+1)%len(s.Members)], true
}

// Successors returns all other members in ring order, beginning with id's
// successor.
func (s *State) Successors(id uint64) []Member {
	i, ok := s.index(id)
	if !ok {
		return nil
	}
	return slices.Concat(s.Members[i+1:], s.Members[:i])
}

// LastLed returns the newest term in which the name led, 0 if it never did.
func (s *State) LastLed(name string) uint64 {
	i, ok := s.ledIndex(name)
	if !ok {
		return 0
	}
	return s.Led[i].Term
}

func (s *State) ledIndex(name string) (int, bool) {
	return slices.BinarySearchFunc(s.Led, name, func(l LastLed, n string) int { return cmp.Compare(l.Name, n) })
}

// rank is a member's place among others: by class, then former leaders, the most
// recent first, then by id, the lowest first.
type rank struct {
	class   int
	led, id uint64
}

func sortedIDs(ranks []rank) []uint64 {
	slices.SortFunc(ranks, func(a, b rank) int {
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(b.led, a.led), cmp.Compare(a.id, b.id))
	})
	return Each(ranks, func(r rank) uint64 { return r.id })
}

// Succession returns the ids of all members that may lead, in the order in
// which they must: a designated one, then former leaders by name, the most
// recent first, then by id, the lowest first. Witnesses never lead, and ids
// in without are left out.
func (s *State) Succession(without ...uint64) []uint64 {
	ranks := make([]rank, 0, len(s.Members))
	for _, m := range s.Members {
		if m.Witness || slices.Contains(without, m.ID) {
			continue
		}
		r := rank{1, s.LastLed(m.Name), m.ID}
		if s.Designated != nil && s.Designated.To == m.ID {
			r.class = 0
		}
		ranks = append(ranks, r)
	}
	return sortedIDs(ranks)
}

// Heir returns who must lead if a leader had to be declared now, with the ids
// in without taken for dead: the first of the succession. The present leader,
// while it is a member and nobody is designated, is its own heir.
func (s *State) Heir(without ...uint64) (Member, bool) {
	order := s.Succession(without...)
	if len(order) == 0 {
		return Member{}, false
	}
	return s.Member(order[0])
}

// NextHeir returns who leads when the present leader is gone.
func (s *State) NextHeir() (Member, bool) { return s.Heir(s.LeaderID) }

// Voters returns the ids that should vote, ascending: at most MaxVoters of the
// leader, who leads next (only a voter can be elected), the witnesses, the
// most recent former leaders, then the oldest.
func (s *State) Voters() []uint64 {
	next, _ := s.NextHeir()
	ranks := make([]rank, 0, len(s.Members))
	for _, m := range s.Members {
		r := rank{3, s.LastLed(m.Name), m.ID}
		switch {
		case m.ID == s.LeaderID:
			r.class = 0
		case m.ID == next.ID:
			r.class = 1
		case m.Witness:
			r.class = 2
		}
		ranks = append(ranks, r)
	}
	ids := sortedIDs(ranks)
	ids = ids[:min(len(ids), int(s.Settings.MaxVoters))]
	slices.Sort(ids)
	return ids
}

// Clone returns a copy that no command to s changes. The lists of addresses, which
// are never changed in place, belong to both.
func (s *State) Clone() *State {
	c := *s
	c.Members = slices.Clone(s.Members)
	c.History = slices.Clone(s.History)
	c.Led = slices.Clone(s.Led)
	c.Departed = slices.Clone(s.Departed)
	return &c
}

// index copies no member: a step of the core looks up hundreds.
func (s *State) index(id uint64) (int, bool) {
	i := sort.Search(len(s.Members), func(i int) bool { return s.Members[i].ID >= id })
	return i, i < len(s.Members) && s.Members[i].ID == id
}
