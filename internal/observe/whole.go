package observe

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// Leader returns the leader's own answer among those of all members: all name the
// same one, and it alone claims.
func Leader(answers []*arcv1.StatusResponse) (*arcv1.StatusResponse, error) {
	if len(answers) == 0 {
		return nil, errors.New("nobody answers")
	}
	name := answers[0].GetLeader().GetName()
	var leader *arcv1.StatusResponse
	for _, st := range answers {
		switch {
		case st.GetLeader() == nil:
			return nil, fmt.Errorf("%s knows no leader: %s", st.GetSelf(), st.GetReason())
		case st.GetLeader().GetName() != name:
			return nil, fmt.Errorf("%s says that %s leads, %s says %s", st.GetSelf(), st.GetLeader().GetName(), answers[0].GetSelf(), name)
		case st.GetSelf() == name:
			leader = st
		case st.GetClaiming():
			return nil, fmt.Errorf("%s claims, and %s leads", st.GetSelf(), name)
		}
	}
	switch {
	case leader == nil:
		return nil, fmt.Errorf("%q leads, which was not asked", name)
	case !leader.GetClaiming():
		return nil, fmt.Errorf("%s is declared but does not claim: %s", name, leader.GetReason())
	}
	return leader, nil
}

// Whole is Leader of a ring that is whole over exactly those who answer: all of
// them, and nobody else, are members and alive in the same state, everybody
// monitors the next, and exactly those who should vote do.
func Whole(answers []*arcv1.StatusResponse) (*arcv1.StatusResponse, error) {
	leader, err := Leader(answers)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, st := range answers {
		names = append(names, st.GetSelf())
	}
	for _, st := range answers {
		switch {
		case st.GetStateHash() != leader.GetStateHash() || st.GetEpoch() != leader.GetEpoch():
			return nil, fmt.Errorf("%s is in epoch %d, state %.8s; the leader %s in %d, %.8s", st.GetSelf(), st.GetEpoch(), st.GetStateHash(), leader.GetSelf(), leader.GetEpoch(), leader.GetStateHash())
		case st.GetRingId() != leader.GetRingId():
			return nil, fmt.Errorf("%s is in ring %s, the leader %s in %s", st.GetSelf(), st.GetRingId(), leader.GetSelf(), leader.GetRingId())
		case st.GetPhase() != "member":
			return nil, fmt.Errorf("%s is %s", st.GetSelf(), st.GetPhase())
		case !st.GetSettled():
			return nil, fmt.Errorf("%s says: a change of raft's configuration is outstanding", st.GetSelf())
		}
		if err := closed(st, names); err != nil {
			return nil, fmt.Errorf("%s says: %w", st.GetSelf(), err)
		}
	}
	// A dead voter leaves raft's configuration a round trip after the declaration,
	// and until then it counts for the majority.
	if have, want := len(leader.GetVoters()), wantedVoters(leader); have != want {
		return nil, fmt.Errorf("%d have a vote, want %d", have, want)
	}
	return leader, nil
}

func wantedVoters(st *arcv1.StatusResponse) int {
	return min(len(st.GetMembers()), int(st.GetSettings().GetMaxVoters()))
}

// closed checks that a status shows a ring over exactly the names.
func closed(st *arcv1.StatusResponse, names []string) error {
	members := st.GetMembers()
	var have []string
	voters := 0
	for _, m := range members {
		have = append(have, m.GetName())
		if m.GetVoter() {
			voters++
		}
	}
	slices.Sort(have)
	if want := slices.Sorted(slices.Values(names)); !slices.Equal(have, want) {
		return fmt.Errorf("the members are %s, want %s", strings.Join(have, ", "), strings.Join(want, ", "))
	}
	for i, m := range members {
		next := ""
		if len(members) > 1 {
			next = members[(i+1)%len(members)].GetName()
		}
		switch {
		case i > 0 && m.GetId() <= members[i-1].GetId():
			return fmt.Errorf("the ids do not rise: %d after %d", m.GetId(), members[i-1].GetId())
		case m.GetMonitors() != next:
			return fmt.Errorf("%s monitors %q, want %q", m.GetName(), m.GetMonitors(), next)
		case !m.GetAlive():
			return fmt.Errorf("%s is suspect", m.GetName())
		}
	}
	if want := wantedVoters(st); voters != want {
		return fmt.Errorf("%d voters, want %d", voters, want)
	}
	return nil
}
