package main

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/discovery"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

func newStatusCmd(f *factory) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Members, who monitors whom, votes, leader, heir, token, lease",
		Long: `Prints the ring as the asked coordinator knows it: the members in ring order, who
monitors whom, who votes, who leads, who would lead next, the epoch, and the
token, which is the term of the leadership. If the asked coordinator leads, it
prints what is left of its lease.

STATE is what the asked coordinator knows of a member: "suspect" if a monitor or
the leader thinks it dead and nobody took that back, "dead" if its own monitor saw
it end, "unheard" if it is silent, and else "alive". While somebody leads, members
hear the leader alone, and trust the monitors for the others. A voter is "unheard"
only while no leader is known, if this node has not heard it for four leases.

PATHS is how the asked coordinator reaches the member: the round trip, or "down".
Of a member with several addresses each is listed.

LAG is by how many log entries a member is behind, as the leader says. "-" means
unknown, because nobody leads or the leader cannot be reached.

"bears" is how many more machines, whichever they are, can be lost at once before
there is no leader. A former member is listed until its name is back, but no
longer than forget_after_s; "arc forget" drops it by hand. Its EVIDENCE and SEEN-BY
are as in "arc history".`,
		Example: `  arc status
  arc --addr 10.0.0.5:7400 status
  arc status -o json | jq -r .leader.name`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd, f, (*client.Client).FullStatus, f.statusTable)
		},
	}
}

func (f *factory) statusTable(w io.Writer, st *arcv1.StatusResponse) {
	line(w, "cluster %s, ring %s, epoch %d, token %d", st.GetCluster(), or(st.GetRingId()), st.GetEpoch(), st.GetTerm())
	line(w, "leader  %s%s, next %s", or(st.GetLeader().GetName()), leadsSince(st), or(st.GetHeir()))
	self := fmt.Sprintf("%s, %s", st.GetSelf(), or(st.GetPhase()))
	if st.GetClaiming() {
		self += fmt.Sprintf(", leads for at least %s more", millis(st.GetLeaseMs()))
	}
	line(w, "asked   %s", self)
	for _, o := range st.GetOtherRings() {
		which := fmt.Sprintf("another ring %s of this cluster, led by %s, was heard", o.GetRingId(), or(o.GetLeader()))
		if o.GetSplit() != "" {
			which = fmt.Sprintf("another ring has this one's id, led by %s (%s), and was heard", or(o.GetLeader()), o.GetSplit())
		}
		line(w, "%s from %s at %s; %s", which, o.GetFrom(), strings.Join(o.GetAddresses(), ", "), discovery.TwoRingsHint)
	}
	if st.GetReason() != "" {
		fmt.Fprintf(w, "reason  %s\n", st.GetReason()) // may be of several lines
	}
	if st.GetSecurity() == "insecure" {
		line(w, "network insecure: no secret is used, everybody who reaches the port can change the ring")
	}
	if all := st.GetSecrets(); len(all) > 1 {
		line(w, "secrets %s used, %s accepted, until the rotation is done", all[0], strings.Join(all[1:], ", "))
	}
	if text := bearsLine(st); text != "" {
		line(w, "bears   %s", text)
	}
	if st.GetDiskHangs() {
		line(w, "disk    does not finish a write: this node does not lead until it does")
	}
	if st.GetMonitorMissing() != "" {
		line(w, "monitor does not run, the leader watches in its place: %s", st.GetMonitorMissing())
	}
	if text := votesLine(st); text != "" {
		line(w, "votes   %s", text)
	}
	if t := st.GetTemporaryLink(); t != nil {
		line(w, "monitor looks at %s for %s more, by arc relink", t.GetTarget(), millis(t.GetLeftMs()))
	}
	if len(st.GetMembers()) == 0 {
		return
	}
	fmt.Fprintln(w)
	rows(w, "ID NAME MONITORS VOTE ROLE STATE LAG PATHS VERSION ADDRESSES", ring.Each(st.GetMembers(), func(m *arcv1.MemberStatus) []string {
		return []string{number(m.GetId()), m.GetName(), or(m.GetMonitors()), voteOf(m), roleOf(st, m), stateOf(m), lagOf(m), pathsOf(m), or(m.GetVersion()),
			strings.Join(m.GetAddresses(), ",")}
	}))
	if len(st.GetDeparted()) == 0 {
		return
	}
	fmt.Fprintln(w)
	rows(w, "ID DEPARTED HOW WHEN EVIDENCE SEEN-BY", ring.Each(st.GetDeparted(), func(d *arcv1.DepartedMember) []string {
		return []string{number(d.GetId()), d.GetName(), d.GetHow(), f.when(d.GetAt()), or(d.GetEvidence()), or(d.GetSeenBy())}
	}))
}

// leadsSince says since when the leader leads, and for how long.
func leadsSince(st *arcv1.StatusResponse) string {
	if st.GetLeader() == nil || st.GetLeaderSince() == nil {
		return ""
	}
	d := time.Duration(st.GetLeaderForMs() * float64(time.Millisecond)).Round(time.Second)
	return fmt.Sprintf(" since %s (%v)", st.GetLeaderSince().AsTime().Format(time.RFC3339), d)
}

// bearsLine says how much more the ring can lose.
func bearsLine(st *arcv1.StatusResponse) string {
	switch n := st.GetCanLose(); {
	case st.GetLeader() == nil:
		return "" // the reason says who is needed
	case st.GetBearsCrash():
		return "the crash of either process, but the loss of neither machine"
	case n == 0:
		return "no loss"
	case n == 1:
		return "the loss of any 1 machine"
	default:
		return fmt.Sprintf("the loss of any %d machines at once", n)
	}
}

func lagOf(m *arcv1.MemberStatus) string {
	if m.GetProgress() == nil {
		return "-"
	}
	return number(m.GetProgress().GetLag())
}

// pathsOf says how the asked node reaches the member: the round trip, for each address
// if there are several.
func pathsOf(m *arcv1.MemberStatus) string {
	var all []string
	for _, p := range m.GetPaths() {
		said := "down"
		if p.GetUp() {
			said = millis(float64(p.GetRttUs()) / 1000)
		}
		if host, _, err := net.SplitHostPort(p.GetAddress()); err == nil && len(m.GetPaths()) > 1 {
			said = host + " " + said
		}
		all = append(all, said)
	}
	return or(strings.Join(all, ", "))
}

// votesLine tells what a majority takes when that cannot be counted in the
// table: raft still counts members that are none any more. Else it is empty.
func votesLine(st *arcv1.StatusResponse) string {
	var former []string
	for _, id := range st.GetVoters() {
		if !slices.ContainsFunc(st.GetMembers(), func(m *arcv1.MemberStatus) bool { return m.GetId() == id }) {
			former = append(former, number(id))
		}
	}
	if len(former) == 0 || len(st.GetMembers()) == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d needed, of which no member any more: %s", st.GetVotesNeeded(), len(st.GetVoters()), strings.Join(former, ", "))
}

func voteOf(m *arcv1.MemberStatus) string {
	switch {
	case m.GetWitness() && m.GetVoter():
		return "witness"
	case m.GetVoter():
		return "yes"
	default:
		return "no"
	}
}

func roleOf(st *arcv1.StatusResponse, m *arcv1.MemberStatus) string {
	switch {
	case st.GetLeader() != nil && st.GetLeader().GetId() == m.GetId():
		return "leader"
	case st.GetHeir() == m.GetName():
		return "heir"
	default:
		return "-"
	}
}

func stateOf(m *arcv1.MemberStatus) string {
	switch {
	case m.GetState() != "":
		return m.GetState()
	case m.GetAlive():
		return "alive"
	default:
		return "suspect" // says an older coordinator
	}
}
