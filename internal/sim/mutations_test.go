package sim

// A mutation breaks the core on purpose. All of them are built into one
// binary, by replacing source files for that build alone, and each is switched
// on by an environment variable; the simulator has to find each of them.
type mutation struct {
	name  string
	edits []edit
	// checks are those that may find it; empty: any.
	checks []string
	// nodes of the rings in which it is sought: each voter's word counts for
	// more in a small one.
	nodes int
	// seed found it when the test was last looked after; tried first.
	seed int
}

// edit replaces a piece of source. MUTANT in new stands for "this mutation is
// on".
type edit struct {
	file string // in the repository
	old  string // must be there exactly once
	new  string
}

// mutations must each be found within so many seeds.
var mutations = []mutation{
	{"a voter ignores its promise", []edit{{"election/voter.go",
		"return n.now >= n.voter.promise.until && n.now >= n.voter.waitUntil",
		"return (n.now >= n.voter.promise.until || MUTANT) && n.now >= n.voter.waitUntil"}}, []string{"G2"}, 3, 30},
	{"a restarted voter votes at once", []edit{{"election/voter.go",
		"&& n.now >= n.voter.waitUntil\n}",
		"&& (n.now >= n.voter.waitUntil || MUTANT)\n}"}}, []string{"G2"}, 3, 1040},
	{"a promise is acked before its bound is durable", []edit{{"election/voter.go",
		"case r.Lease > v.bound:",
		"case r.Lease > v.bound && !MUTANT:"}}, []string{"G2"}, 3, 766},
	{"a lease is counted from the ack", []edit{{"election/lease.go",
		"\tif a.Seq <= r.acked[from].seq {\n",
		"\tif MUTANT {\n\t\ts.until = n.now + n.ring.Settings.LeaderLease()\n\t}\n\tif a.Seq <= r.acked[from].seq {\n"}}, []string{"G2", "G5"}, 5, 170},
	{"clock drift is not allowed for", []edit{{"ring/settings.go",
		"return d - d*time.Duration(s.DriftPPM)/1_000_000",
		"if MUTANT {\n\t\treturn d\n\t}\n\treturn d - d*time.Duration(s.DriftPPM)/1_000_000"}}, []string{"G2", "G5"}, 5, 34},
	{"a certificate counts for another incarnation", []edit{{"election/suspicion.go",
		"if !ok || c.Incarnation < n.incarnation(m) {\n\t\treturn",
		"if MUTANT && ok {\n\t\tc.Incarnation = n.incarnation(m)\n\t}\n\tif !ok || c.Incarnation < n.incarnation(m) {\n\t\treturn"}}, []string{"G4", "G2"}, 5, 2},
	{"a caretaker declares itself", []edit{
		{"election/leading.go", "if heir.ID == n.cfg.ID {\n\t\t\tbreak", "if heir.ID == n.cfg.ID || MUTANT {\n\t\t\tbreak"},
		{"ring/apply.go", "\their, ok := s.Heir(dead...)\n", "\their, ok := s.Heir(dead...)\n\tif MUTANT {\n\t\their, ok = s.Member(d.ID)\n\t}\n"},
	}, []string{"G3", "state"}, 5, 2},
	{"an id is taken again", []edit{{"ring/apply.go",
		"\ts.HighestID++\n\tm.ID = s.HighestID",
		"\tif MUTANT {\n\t\ts.HighestID = 0\n\t\tfor _, o := range s.Members {\n\t\t\ts.HighestID = max(s.HighestID, o.ID)\n\t\t}\n\t}\n\ts.HighestID++\n\tm.ID = s.HighestID"}}, []string{"ids", "state"}, 5, 2},
	{"an epoch is not counted", []edit{{"ring/apply.go",
		"\ts.Epoch++\n",
		"\tif !MUTANT || c.Return == nil {\n\t\ts.Epoch++\n\t}\n"}}, []string{"state"}, 5, 2},
	{"an eviction needs no confirmation", []edit{{"election/suspicion.go",
		"if s.confirmed && n.heard[m.ID] <= s.probing {",
		"if MUTANT || s.confirmed && n.heard[m.ID] <= s.probing {"}}, []string{"G4"}, 5, 2},
	{"votes and appends are answered before they are durable", []edit{{"election/ready.go",
		"if m.GetType() == raftpb.MsgPreVoteResp {",
		"if m.GetType() == raftpb.MsgPreVoteResp || MUTANT && m.GetTo() != n.cfg.ID {"}}, nil, 5, 24},
	{"a joint configuration's old half does not count", []edit{{"election/lease.go",
		"if out := n.conf.GetVotersOutgoing(); len(out) > 0 {",
		"if out := n.conf.GetVotersOutgoing(); len(out) > 0 && !MUTANT {"}}, []string{"G2", "G5"}, 5, 955},
	{"the survivor of a pair needs no certificate", []edit{{"election/campaign.go",
		"if _, ok := n.certs[other]; !ok {",
		"if _, ok := n.certs[other]; !ok && !MUTANT {"}}, []string{"G1", "G2", "log", "state"}, 5, 160},
	{"a released leader goes on claiming", []edit{
		{"election/node.go", "|| !n.declared() || n.lead.released {", "|| !n.declared() || n.lead.released && !MUTANT {"},
		{"election/request.go", "\t\tl.renewals.acked = nil\n", "\t\tif !MUTANT {\n\t\t\tl.renewals.acked = nil\n\t\t}\n"},
	}, []string{"G2"}, 5, 6},
	{"only the acked renewal's grant counts", []edit{{"election/grant.go",
		"seq <= r.seq; seq++ {",
		"seq <= r.seq && (seq == a.seq || !MUTANT); seq++ {"}}, []string{"G2"}, 3, 675},
	{"a grant is counted from the ack", []edit{{"election/grant.go",
		"\t\tkey := grantKey{p.From, p.Grant}\n",
		"\t\tif MUTANT {\n\t\t\ts.at = n.now\n\t\t}\n\t\tkey := grantKey{p.From, p.Grant}\n"}}, []string{"G2"}, 3, 6},
	{"a testimony about another grant ends the promise", []edit{{"election/grant.go",
		"p.named == key && p.until",
		"(MUTANT || p.named == key) && p.until"}}, []string{"G2"}, 3, 6},
	{"a watcher testifies before its grant has ended", []edit{{"monitor/detector/grant.go",
		"if g.pong != 0 && now >= g.until {",
		"if g.pong != 0 && (MUTANT || now >= g.until) {"}}, []string{"G2"}, 3, 366},
	{"a new monitor numbers its grants as the former did", []edit{{"internal/sim/monitor.go",
		"return detector.NewWatch(s.watches << 32)",
		"if MUTANT {\n\t\ts.watches = 1\n\t}\n\treturn detector.NewWatch(s.watches << 32)"}}, []string{"G2", "G6"}, 3, 430},
}

// relapses bring back bugs that the simulator found while the core was
// written; a regression in testdata/regressions fails with each of them.
var relapses = []mutation{
	{"a configuration change may leave a majority of dead", []edit{{"election/voters.go",
		"return alive > len(voters)/2",
		"return MUTANT || alive > len(voters)/2"}}, []string{"G6"}, 5, 0},
	{"a leader out of touch changes the ring", []edit{{"election/voters.go",
		"\treturn n.majorityHeard(n.conf.GetVoters()) &&",
		"\treturn MUTANT || n.majorityHeard(n.conf.GetVoters()) &&"}}, []string{"G6"}, 5, 109},
	{"a certificate of a former life counts against the present one", []edit{{"election/step.go",
		"\tknown := n.incarnation(from)\n",
		"\tif MUTANT {\n\t\treturn true\n\t}\n\tknown := n.incarnation(from)\n"}}, nil, 5, 0},
	{"the first new life heard stays the newest", []edit{{"election/step.go",
		"\tn.seen[from.ID] = incarnation\n",
		"\tif _, ok := n.seen[from.ID]; ok && MUTANT {\n\t\treturn false\n\t}\n\tn.seen[from.ID] = incarnation\n"}}, nil, 5, 0},
	{"whoever is removed is let go before that is sealed", []edit{{"election/ready.go",
		"return ok || n.inConf(id)",
		"return ok && !MUTANT || n.inConf(id)"}, {"election/voters.go",
		"\t\tif !n.inConf(id) {\n\t\t\treturn true",
		"\t\tif !n.inConf(id) && !MUTANT {\n\t\t\treturn true"}}, nil, 5, 0},
	{"nobody answers a member that it does not know yet", []edit{{"internal/sim/network.go",
		"&& !n.provisional(m.To, s.now) {",
		"&& (MUTANT || !n.provisional(m.To, s.now)) {"}}, nil, 5, 0},
	{"an eviction that the ring refuses is proposed again and again", []edit{{"election/leading.go",
		"&& len(n.ring.Succession(e.ID)) > 0 {",
		"&& (MUTANT || len(n.ring.Succession(e.ID)) > 0) {"}}, nil, 5, 0},
	{"joiners wait for a leader where nobody may lead", []edit{{"election/request.go",
		"(r.Join == nil || !l.heirless) {",
		"(MUTANT || r.Join == nil || !l.heirless) {"}}, nil, 5, 0},
	{"a suspicion of the recorded life says nothing of a newer one", []edit{{"election/suspicion.go",
		"return s.Incarnation == m.Incarnation || ",
		"return s.Incarnation == m.Incarnation && !MUTANT || "}}, nil, 5, 0},
	{"a joiner that asks again needs a declared leader", []edit{{"election/request.go",
		"\tif r.Join != nil {\n\t\tm :=",
		"\tif r.Join != nil && (!MUTANT || l != nil && n.declared()) {\n\t\tm :="}}, nil, 5, 0},
	{"somebody else who answers at its address passes for the member", []edit{{"election/message.go",
		"return r.Outcome == Answered && (",
		"return r.Outcome == Answered && (MUTANT || "}}, nil, 5, 0},
	{"a winner hands over before it knows who the heir is", []edit{{"election/leading.go",
		"if t, known := n.termAt(n.applied); !known || t != n.term {\n\t\t// An app",
		"if t, known := n.termAt(n.applied); !MUTANT && (!known || t != n.term) {\n\t\t// An app"}}, nil, 5, 0},
	{"an incarnation follows the wall clock alone", []edit{{"internal/sim/process.go",
		"\tn.inc = max(n.inc, n.disk.durable.inc+1<<22)\n",
		"\tif !MUTANT {\n\t\tn.inc = max(n.inc, n.disk.durable.inc+1<<22)\n\t}\n"}}, nil, 5, 0},
	{"an incarnation that was heard of outlives a newer one that is committed", []edit{{"election/ready.go",
		"m.Incarnation >= inc {",
		"m.Incarnation == inc || !MUTANT && m.Incarnation > inc {"}}, []string{"G4"}, 5, 0},
	{"a snapshot says nothing of former members that are still needed", []edit{{"election/storage.go",
		"\t\td.Gone = append(d.Gone, gone[id])\n",
		"\t\tif !MUTANT {\n\t\t\td.Gone = append(d.Gone, gone[id])\n\t\t}\n"}}, nil, 3, 0},
	{"who is thought dead counts for being in touch, and the last that may lead is evicted", []edit{{"election/voters.go",
		"&& n.thoughtAlive(id) {\n\t\t\theard++",
		"&& (MUTANT || n.thoughtAlive(id)) {\n\t\t\theard++"}, {"ring/apply.go",
		"len(s.Succession(e.ID)) == 0 && !m.Witness {",
		"len(s.Succession(e.ID)) == 0 && !m.Witness && !MUTANT {"}}, nil, 3, 0},
	{"who answered in a member's place is waited for although it is silent too", []edit{{"monitor/detector/detector.go",
		"if d.Replaced() && d.misses",
		"if !MUTANT && d.Replaced() && d.misses"}}, []string{"G6"}, 5, 0},
	{"no snapshot is made while somebody waits to be let go", []edit{{"election/storage.go",
		"if n.dropped != 0 || n.changingConf || n.applied == 0 {",
		"if n.dropped != 0 || n.changingConf || n.applied == 0 || MUTANT && len(n.gone) > 0 {"}}, nil, 3, 0},
	{"an older probe's silence counts for a newer one", []edit{{"election/leading.go",
		"case probed && r.Outcome == Unanswered:",
		"case probed && r.Outcome == Unanswered && !MUTANT:"}}, []string{"G4"}, 5, 0},
	{"an older probe's silence confirms a newer suspicion", []edit{{"election/suspicion.go",
		"began = min(began, n.now-n.probeTimeout())",
		"if !MUTANT {\n\t\t\tbegan = min(began, n.now-n.probeTimeout())\n\t\t}"}}, []string{"G4"}, 5, 0},
}
