package durations_test

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/ring"
)

const ms = time.Millisecond

// What the kernel does by itself.
const (
	delayedAck    = 40 * ms  // it acknowledges data at the latest after this
	firstRetry    = 200 * ms // it sends data again at the soonest after this
	secondSYN     = time.Second
	duplicateAddr = 2 * time.Second // IPv6 looks for a duplicate address for so long
)

// Each row is what must grow from left to right, and why.
func TestOrder(t *testing.T) {
	d := durations.FirstHellos
	for why, row := range map[string][]time.Duration{
		"a stall is no delayed acknowledgement, and is seen before the kernel repeats": {durations.PeerHintedStall, delayedAck, durations.PeerStall, firstRetry, durations.PeerAck},
		"a race beside a stalled stream has ended before the next one begins":          {durations.PeerStall, durations.PeerStallEvery, durations.PeerAck},
		"addresses are tried again before the kernel repeats a SYN":                    {durations.PeerStagger, durations.PeerOverlap, durations.PeerLateOverlap, secondSYN, durations.PeerConnect},
		"a try has time for a repeated SYN and a held hello":                           {durations.PeerConnect + durations.HelloHold, durations.PeerAttempt},
		"a stream to us outlives the connect of its opener":                            {durations.PeerConnect, durations.HelloWait, durations.PeerAttempt},
		"a peer may answer a held hello before others are tried again":                 {durations.HelloHold, durations.PeerAnswer, durations.PeerAttempt},
		"one thought dead is tried more rarely than one that only fails":               {durations.PeerBackoff.First, durations.PeerBackoff.Longest, durations.PeerSlow},
		"an unlisted peer is looked at several times before it goes":                   {2 * durations.UnlistedCheck, durations.UnlistedKeep},
		"three quick tries fit into what a broken stream has to be had again":          {(1 + 2 + 4) * durations.ProbeQuick, durations.ProbeReset, durations.ProbeConnectLeast},
		"quick tries precede the back-off":                                             {durations.ProbeQuick, durations.ProbeRedialLeast, durations.ProbeRedialLongest},
		"a fresh probe stream has time to connect before the next replaces it":         {durations.ProbeConnectLeast, durations.ProbeRaceLeast, durations.ProbeRaceLongest},
		"a certificate tries a warm connection, then several fresh ones":               {durations.CertificateRetry.Longest, durations.CertificateWarm, durations.CertificateFresh, durations.Certify / 3},
		"connections for certificates settle before one that broke is made again":      {durations.CertificateSettle, durations.CertificateReconnect},
		"a doorbell that is waited for still belongs to its link":                      {durations.DoorbellWait, durations.DoorbellBelongs},
		"a monitor takes its last link long before it is abandoned":                    {durations.LastLink, durations.QueueEnd},
		"a monitor has lived when the longest pause is over":                           {durations.MonitorRestart.First, durations.MonitorRestart.Longest, durations.MonitorLived},
		"a joiner says that it waits before the call ends":                             {durations.JoinAgain.First, durations.JoinAgain.Longest, durations.JoinLate, durations.JoinCall},
		"a member is held elsewhere before anything else at a start":                   {durations.HeldElsewhere, durations.Connect},
		"what is new is said sooner than the longest pause ends":                       {durations.Complaint.First, durations.ComplaintNew, durations.Complaint.Longest},
		"a coordinator ends in time, though it leaves and its calls end":               {durations.LeaveYield, durations.LeaveQueue, durations.Leave, durations.Leave + durations.CallsEnd + 2*durations.PeerFlush, durations.Stop},
		"the answer to a leave in vain arrives":                                        {durations.LeaveAgain, durations.LeaveAnswer, durations.Leave},
		"what is queued leaves while calls end":                                        {durations.LastAnswers, durations.PeerFlush, durations.CallsEnd},
		"the client of a stranger's connection is looked for before it is closed":      {durations.ClientKeepAliveLeast, durations.ServerKeepAliveAnswer, durations.ServerKeepAlive, durations.ServerKeepAlive + durations.ServerKeepAliveAnswer, durations.IdleStranger},
		"a status with the leader's part comes within a call's time":                   {durations.StatusWait, durations.LeaderStatusWait, durations.RealtimeWait, durations.Call},
		"all that wish to end at once are gathered before one gives leaving up":        {durations.StopGather, durations.StopLongest, durations.Leave},
		"what nobody waits for comes when all know who leads":                          {durations.Deferral, durations.ReconfigureDelay, durations.FiguresLogged, durations.Idle},
		"a notice is asked about sooner than a member that is out of touch asks":       {durations.InquiryAgain, durations.Inquiry, durations.Unborn},
		"a search begins quickly, and then says hello at its interval":                 {d[0], d[1], d[2], d[3], d[4], durations.SeekInterval, durations.MemberInterval},
		"an urgent hello is no more urgent than the first repetition":                  {durations.SeekLeast, d[1]},
		"a ring is present for longer than its members are quiet":                      {durations.MemberInterval, durations.RingPresent, durations.OtherRing},
		"a ring that is there is reported before it is forgotten":                      {durations.RingReport, durations.RingPresent},
		"an answer counts only while its hello is in the window":                       {durations.HelloLate, durations.HelloAnswer, durations.ClockSlack},
		"a sender that goes on is told of as one that did not stop":                    {durations.RingPresent, durations.UnreadAgain, durations.ClockSlack},
		"a founder decides while every word that it counts holds":                      {durations.FounderAsk, durations.FounderDecides, durations.FounderWord},
		"a founder asks several times before it decides":                               {durations.FounderUnanswered.Longest, durations.FounderAsk, durations.FounderDecides / 2},
		"all addresses are tried within one question of a founder":                     {durations.FounderStagger * 16, durations.FounderAsk},
		"a name is present while its search says hello again and again":                {durations.SeekInterval, durations.NameNew, durations.NamePresent / 4},
		"an interface is usable after the look for duplicates":                         {duplicateAddr, durations.InterfaceUsable},
		"advice comes when a search has had its first hellos and a leader's answer":    {d[len(d)-1] + durations.LeaderWait, durations.AdviceAfter, durations.AdviceInterval},
	} {
		for i := range row[1:] {
			if row[i] >= row[i+1] {
				t.Errorf("%s: %v is not less than %v (%v)", why, row[i], row[i+1], row)
			}
		}
	}
}

// What must hold with the settings of every profile.
func TestProfiles(t *testing.T) {
	for _, name := range ring.Profiles {
		s, err := ring.ProfileSettings(name)
		if err != nil {
			t.Fatal(err)
		}
		for why, row := range map[string][2]time.Duration{
			"a link that waits does not hold back what its monitor notices": {durations.Idle, s.Detection(false)},
			"a certificate is handed around for longer than a lease":        {s.Lease(), durations.Certify},
			"an order to leave outlasts the lease of a leader that is lost": {s.Lease(), durations.Leave},
			"a join outlasts an election after a lease":                     {2 * s.Lease(), durations.JoinCall},
			"calls are bounded above what a change takes":                   {4 * s.Lease(), durations.Call},
		} {
			if row[0] >= row[1] {
				t.Errorf("%s: %s: %v is not less than %v", name, why, row[0], row[1])
			}
		}
	}
}
