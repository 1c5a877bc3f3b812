package observe

import (
	"fmt"
	"strings"
	"testing"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// answers are those of a ring of three that n1 leads.
func answers() []*arcv1.StatusResponse {
	var all []*arcv1.StatusResponse
	for self := range 3 {
		st := &arcv1.StatusResponse{
			Self: fmt.Sprintf("n%d", self+1), RingId: "r", Epoch: 7, StateHash: "ab", Phase: "member", Settled: true,
			Leader: &arcv1.NodeRef{Id: 1, Name: "n1"}, Claiming: self == 0, Voters: []uint64{1, 2, 3}, Settings: &arcv1.Settings{MaxVoters: 7},
		}
		for i := range 3 {
			st.Members = append(st.Members, &arcv1.MemberStatus{Id: uint64(i + 1), Name: fmt.Sprintf("n%d", i+1), Monitors: fmt.Sprintf("n%d", (i+1)%3+1), Alive: true, Voter: true})
		}
		all = append(all, st)
	}
	return all
}

func TestWhole(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(all []*arcv1.StatusResponse) []*arcv1.StatusResponse
		leads  string // what is wrong by Leader, "" if nothing
		whole  string // and by Whole
	}{
		{"whole", nil, "", ""},
		{"nobody", func([]*arcv1.StatusResponse) []*arcv1.StatusResponse { return nil }, "nobody answers", "nobody answers"},
		{"one knows no leader", func(all []*arcv1.StatusResponse) []*arcv1.StatusResponse {
			all[1].Leader, all[1].Reason = nil, "no votes"
			return all
		}, "n2 knows no leader: no votes", "n2 knows no leader"},
		{"two leaders", func(all []*arcv1.StatusResponse) []*arcv1.StatusResponse {
			all[2].Leader = &arcv1.NodeRef{Id: 3, Name: "n3"}
			return all
		}, "n3 says that n3 leads, n1 says n1", "n3 says"},
		{"two claims", func(all []*arcv1.StatusResponse) []*arcv1.StatusResponse { all[2].Claiming = true; return all }, "n3 claims, and n1 leads", "n3 claims"},
		{"no claim", func(all []*arcv1.StatusResponse) []*arcv1.StatusResponse { all[0].Claiming = false; return all }, "n1 is declared but does not claim", "does not claim"},
		{"the leader is not there", func(all []*arcv1.StatusResponse) []*arcv1.StatusResponse { return all[1:] }, `"n1" leads, which was not asked`, "not asked"},
		{"a member is not there", func(all []*arcv1.StatusResponse) []*arcv1.StatusResponse { return all[:2] }, "", "the members are n1, n2, n3, want n1, n2"},
		{"one is behind", func(all []*arcv1.StatusResponse) []*arcv1.StatusResponse { all[1].Epoch = 6; return all }, "", "n2 is in epoch 6"},
		{"another state", func(all []*arcv1.StatusResponse) []*arcv1.StatusResponse { all[1].StateHash = "cd"; return all }, "", "state cd"},
		{"another ring", func(all []*arcv1.StatusResponse) []*arcv1.StatusResponse { all[1].RingId = "q"; return all }, "", "n2 is in ring q"},
		{"one is joining", func(all []*arcv1.StatusResponse) []*arcv1.StatusResponse { all[1].Phase = "joining"; return all }, "", "n2 is joining"},
		{"a change is outstanding", func(all []*arcv1.StatusResponse) []*arcv1.StatusResponse { all[1].Settled = false; return all }, "", "outstanding"},
		{"an open ring", func(all []*arcv1.StatusResponse) []*arcv1.StatusResponse {
			all[0].Members[2].Monitors = "n2"
			return all
		}, "", `n3 monitors "n2", want "n1"`},
		{"a suspect", func(all []*arcv1.StatusResponse) []*arcv1.StatusResponse { all[1].Members[2].Alive = false; return all }, "", "n2 says: n3 is suspect"},
		{"ids that do not rise", func(all []*arcv1.StatusResponse) []*arcv1.StatusResponse { all[1].Members[2].Id = 2; return all }, "", "the ids do not rise: 2 after 2"},
		{"one has no vote", func(all []*arcv1.StatusResponse) []*arcv1.StatusResponse {
			all[1].Members[2].Voter = false
			return all
		}, "", "2 voters, want 3"},
		{"a dead voter counts still", func(all []*arcv1.StatusResponse) []*arcv1.StatusResponse {
			all[0].Voters = append(all[0].Voters, 4)
			return all
		}, "", "4 have a vote, want 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for what, judged := range map[string]struct {
				by   func([]*arcv1.StatusResponse) (*arcv1.StatusResponse, error)
				want string
			}{"Leader": {Leader, c.leads}, "Whole": {Whole, c.whole}} {
				all := answers()
				if c.change != nil {
					all = c.change(all)
				}
				switch st, err := judged.by(all); {
				case judged.want == "" && (err != nil || st.GetSelf() != "n1"):
					t.Errorf("%s: %v, %v; want n1", what, st, err)
				case judged.want != "" && (err == nil || !strings.Contains(err.Error(), judged.want)):
					t.Errorf("%s: %v, want %q", what, err, judged.want)
				}
			}
		})
	}
}
