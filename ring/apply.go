package ring

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// VersionMost bounds the version that a member tells, bytes.
const VersionMost = 128

// Change is one thing that an accepted command changed, in order.
type Change struct {
	Kind ChangeKind
	// Member is who it is about, as it was when it left, or is now.
	Member Member
	// Evidence of an eviction; By is the id of who saw it.
	Evidence Evidence
	By       uint64
	// Leadership of a declaration.
	Leadership *Leadership
}

// ChangeKind says what a Change is; its value is the event's name.
type ChangeKind string

const (
	Joined          ChangeKind = "joined"
	Left            ChangeKind = "left"
	Evicted         ChangeKind = "evicted"
	Returned        ChangeKind = "returned"
	LeaderDeclared  ChangeKind = "leader_declared"
	Appointed       ChangeKind = "appointed"
	SettingsChanged ChangeKind = "settings_changed"
)

// Apply carries out a committed command from an entry of the given raft term.
// Either the whole command takes effect, the epoch grows by one and the
// changes are returned; or an error says why not and s is as before. Both are
// the same on every member.
//
// What is beside the ring (Command.Beside) yields neither a change nor an epoch.
func (s *State) Apply(term uint64, c Command) (changes []Change, err error) {
	switch {
	case c.Found != nil:
		changes, err = s.found(*c.Found)
	case c.Join != nil:
		changes, err = s.join(*c.Join)
	case c.Leave != nil:
		changes, err = s.leave(*c.Leave)
	case c.Evict != nil:
		changes, err = s.evict(*c.Evict)
	case c.Declare != nil:
		changes, err = s.declare(term, *c.Declare)
	case c.Appoint != nil:
		changes, err = s.appoint(*c.Appoint)
	case c.Settings != nil:
		if err := c.Settings.bounds(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		s.Settings = *c.Settings
		changes = []Change{{Kind: SettingsChanged}}
	case c.Return != nil:
		changes, err = s.comeBack(*c.Return)
	case c.Timed != nil:
		err = s.timed(term, *c.Timed)
	case c.Interrupted != nil:
		err = s.interrupted(term, *c.Interrupted)
	case c.Forget != nil:
		err = s.forget(*c.Forget)
	case c.Require != nil:
		err = s.require(*c.Require)
	default:
		err = fmt.Errorf("%w: not a command for the ring", ErrInvalid)
	}
	if err == nil && !c.Beside() {
		s.Epoch++
	}
	return changes, err
}

func (s *State) found(f Found) ([]Change, error) {
	if s.RingID != "" {
		return nil, fmt.Errorf("%w: ring %s is already founded", ErrInvalid, s.RingID)
	}
	if f.RingID == "" || f.Cluster == "" || f.Founder.Name == "" {
		return nil, fmt.Errorf("%w: a ring needs an id, a cluster and a founder with a name", ErrInvalid)
	}
	if err := f.Settings.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	names := map[string]bool{f.Founder.Name: true}
	for _, m := range f.Others {
		if m.Name == "" || names[m.Name] || m.Incarnation == 0 || len(m.Addresses) == 0 || m.OnJoin.Number() < 0 {
			return nil, fmt.Errorf("%w: a ring is founded with names that differ, incarnations, addresses and known wishes: %q", ErrInvalid, m.Name)
		}
		names[m.Name] = true
	}
	s.Cluster, s.RingID, s.Settings = f.Cluster, f.RingID, f.Settings
	changes := []Change{s.admit(f.Founder)}
	for _, m := range f.Others {
		changes = append(changes, s.admit(m))
		s.Epoch++ // as for any other join
	}
	s.LogVersion = s.ReadableByAll()
	return changes, nil
}

func (s *State) join(j Join) ([]Change, error) {
	m := j.Member
	if m.Name == "" || m.Incarnation == 0 || len(m.Addresses) == 0 || len(m.Version) > VersionMost {
		return nil, fmt.Errorf("%w: a joiner needs a name, an incarnation, an address, and a version of at most %d bytes", ErrInvalid, VersionMost)
	}
	if err := s.readsLog(m.Name, m.LogVersion); err != nil {
		return nil, err
	}
	var changes []Change
	if old, ok := s.MemberByName(m.Name); ok {
		if old.ID != j.Replaces {
			return nil, fmt.Errorf("%w: %q is member %d at %s", ErrNameInUse, m.Name, old.ID, strings.Join(old.Addresses, ", "))
		}
		changes = append(changes, s.remove(old, Evicted, Replaced, 0, 0))
	}
	return append(changes, s.admit(m)), nil
}

func (s *State) admit(m Member) Change {
	s.HighestID++
	m.ID = s.HighestID
	s.backAgain(m.Name)
	m.Addresses = slices.Clone(m.Addresses)
	s.Members = append(s.Members, m) // the highest id: order holds
	return Change{Kind: Joined, Member: m}
}

func (s *State) leave(l Leave) ([]Change, error) {
	m, ok := s.Member(l.ID)
	if !ok {
		return nil, fmt.Errorf("%w: id %d", ErrNotMember, l.ID)
	}
	return []Change{s.remove(m, Left, "", 0, l.At)}, nil
}

func (s *State) evict(e Evict) ([]Change, error) {
	m, err := s.evictable(e)
	if err != nil {
		return nil, err
	}
	if len(s.Succession(e.ID)) == 0 && !m.Witness {
		return nil, fmt.Errorf("%w: %q is the last member that may lead", ErrInvalid, m.Name)
	}
	return []Change{s.remove(m, Evicted, e.Evidence, e.By, e.At)}, nil
}

func (s *State) evictable(e Evict) (Member, error) {
	m, ok := s.Member(e.ID)
	if !ok {
		return Member{}, fmt.Errorf("%w: id %d", ErrNotMember, e.ID)
	}
	if e.Incarnation != 0 && e.Incarnation != m.Incarnation {
		return Member{}, fmt.Errorf("%w: the evidence is about incarnation %d of member %d, which is now %d", ErrStale, e.Incarnation, e.ID, m.Incarnation)
	}
	return m, nil
}

func (s *State) remove(m Member, kind ChangeKind, ev Evidence, by uint64, at int64) Change {
	s.depart(m, kind, ev, by, at)
	i, _ := s.index(m.ID)
	s.Members = slices.Delete(s.Members, i, i+1)
	if s.LeaderID == m.ID {
		s.LeaderID = 0
	}
	if s.Designated != nil && s.Designated.To == m.ID {
		s.Designated = nil
	}
	return Change{Kind: kind, Member: m, Evidence: ev, By: by}
}

func (s *State) declare(term uint64, d Declare) ([]Change, error) {
	if d.Term != term {
		return nil, fmt.Errorf("%w: declaration for term %d in an entry of term %d", ErrStale, d.Term, term)
	}
	if d.Term <= s.Term {
		return nil, fmt.Errorf("%w: declaration for term %d, the newest is %d", ErrStale, d.Term, s.Term)
	}
	dead := make([]uint64, 0, len(d.Evict))
	after, _ := s.Leader()
	var evidence Evidence
	var by uint64
	for _, e := range d.Evict {
		if _, err := s.evictable(e); err != nil {
			return nil, err
		}
		if e.ID == d.ID || slices.Contains(dead, e.ID) {
			return nil, fmt.Errorf("%w: declaration evicts member %d, which is itself or named twice", ErrInvalid, e.ID)
		}
		if e.ID == after.ID {
			evidence, by = e.Evidence, e.By
		}
		dead = append(dead, e.ID)
	}
	heir, ok := s.Heir(dead...)
	if !ok || heir.ID != d.ID {
		return nil, fmt.Errorf("%w: member %d declares, the heir is %d", ErrNotHeir, d.ID, heir.ID)
	}
	if d.Evidence != "" {
		evidence, by = d.Evidence, d.By
	}
	seenBy := s.NameOf(by)
	var changes []Change
	for _, e := range d.Evict {
		m, _ := s.Member(e.ID)
		changes = append(changes, s.remove(m, Evicted, e.Evidence, e.By, d.Since))
	}
	i, _ := s.index(d.ID)
	if d.Incarnation != 0 && s.Members[i].Incarnation != d.Incarnation {
		s.Members[i].Incarnation = d.Incarnation
		changes = append(changes, Change{Kind: Returned, Member: s.Members[i]})
	}
	l := Leadership{Term: d.Term, Name: heir.Name, ID: heir.ID, Since: d.Since, Why: d.Why, Gap: d.Gap, CertainGap: d.CertainGap, GapAtLeast: d.GapAtLeast,
		Evidence: evidence, SeenBy: seenBy, After: after.Name, Clean: d.Clean, Phases: d.Phases}
	if after.Name == "" && len(s.History) > 0 {
		last := s.History[len(s.History)-1]
		l.After = last.Name
		if old, ok := s.departedByID(last.ID); ok && evidence == "" {
			// It was taken out before, by somebody who declared nothing.
			l.Evidence, l.SeenBy = old.Evidence, old.SeenBy
		}
	}
	if l.Evidence == Certified {
		l.SeenBy = l.After // its own monitor
	}
	s.History = append(s.History, l)
	if n := len(s.History) - HistoryKept; n > 0 {
		s.History = slices.Delete(s.History, 0, n)
	}
	s.rememberLed(heir.Name, d.Term)
	s.Term, s.LeaderID, s.Designated = d.Term, d.ID, nil
	return append(changes, Change{Kind: LeaderDeclared, Member: s.Members[i], Leadership: &l}), nil
}

func (s *State) rememberLed(name string, term uint64) {
	i, ok := s.ledIndex(name)
	if ok {
		s.Led[i].Term = term
		return
	}
	s.Led = slices.Insert(s.Led, i, LastLed{name, term})
	for len(s.Led) > LedKept {
		oldest := slices.MinFunc(s.Led, func(a, b LastLed) int { return cmp.Compare(a.Term, b.Term) })
		s.Led = slices.DeleteFunc(s.Led, func(l LastLed) bool { return l == oldest })
	}
}

func (s *State) appoint(a Appoint) ([]Change, error) {
	if a.To == 0 {
		if s.Designated == nil {
			return nil, fmt.Errorf("%w: nobody is appointed", ErrStale)
		}
		s.Designated = nil
		return []Change{{Kind: Appointed}}, nil
	}
	m, ok := s.Member(a.To)
	if !ok {
		return nil, fmt.Errorf("%w: id %d", ErrNotMember, a.To)
	}
	if m.Witness {
		return nil, fmt.Errorf("%w: %q is a witness and never leads", ErrInvalid, m.Name)
	}
	s.Designated = &Designation{To: a.To, Why: a.Why}
	return []Change{{Kind: Appointed, Member: m}}, nil
}

func (s *State) comeBack(r Return) ([]Change, error) {
	i, ok := s.index(r.ID)
	if !ok {
		return nil, fmt.Errorf("%w: id %d", ErrNotMember, r.ID)
	}
	if r.Incarnation == 0 || len(r.Addresses) == 0 || len(r.Version) > VersionMost {
		return nil, fmt.Errorf("%w: a return needs an incarnation, an address, and a version of at most %d bytes", ErrInvalid, VersionMost)
	}
	m := &s.Members[i]
	if m.Is(r) {
		return nil, fmt.Errorf("%w: member %d is already known as incarnation %d", ErrStale, r.ID, r.Incarnation)
	}
	if err := s.readsLog(m.Name, r.LogVersion); err != nil {
		return nil, err
	}
	m.Incarnation, m.Addresses, m.Version, m.LogVersion = r.Incarnation, slices.Clone(r.Addresses), r.Version, r.LogVersion
	return []Change{{Kind: Returned, Member: *m}}, nil
}

// Restore is the inverse of Snapshot. It checks what Apply maintains and
// refuses bytes that no State has.
func Restore(b []byte) (*State, []Member, error) {
	s, err := decodeSnapshot(b)
	if err == nil {
		err = s.Ring.check()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("restore ring state: %w", err)
	}
	return &s.Ring, s.Gone, nil
}

// check refuses a state that no commands lead to.
func (s *State) check() error {
	if s.RingID == "" {
		return fmt.Errorf("%w: no ring id", ErrInvalid)
	}
	// Every admission and every declaration makes an epoch.
	if s.HighestID > s.Epoch || s.Term >= TermLimit || len(s.History) > HistoryKept || len(s.Led) > LedKept {
		return fmt.Errorf("%w: highest id %d at epoch %d, token %d, %d leaderships, %d former leaders",
			ErrInvalid, s.HighestID, s.Epoch, s.Term, len(s.History), len(s.Led))
	}
	for i, m := range s.Members {
		if m.ID == 0 || m.ID > s.HighestID || i > 0 && m.ID <= s.Members[i-1].ID {
			return fmt.Errorf("%w: member ids are not ascending up to %d", ErrInvalid, s.HighestID)
		}
	}
	if len(s.Departed) > DepartedKept {
		return fmt.Errorf("%w: %d former members, at most %d are kept", ErrInvalid, len(s.Departed), DepartedKept)
	}
	if !slices.IsSortedFunc(s.Led, func(a, b LastLed) int { return cmp.Compare(a.Name, b.Name) }) {
		return fmt.Errorf("%w: former leaders are not sorted", ErrInvalid)
	}
	return s.Settings.bounds()
}

// Hash returns the SHA-256 in hexadecimal of what Snapshot holds, without what
// belongs to no epoch (Command.Beside): equal epochs have equal hashes.
func (s *State) Hash() string {
	c := *s
	c.History, c.Departed, c.LogVersion = slices.Clone(s.History), nil, 0
	for i := range c.History {
		l := &c.History[i]
		l.Phases.Declared, l.Phases.FirstClaim = 0, 0
		l.Claimed, l.ClaimAfter, l.Interruptions = false, 0, nil
	}
	sum := sha256.Sum256(c.Snapshot())
	return hex.EncodeToString(sum[:])
}
