package ring

// PathOutcome is what became of a try at one address.
type PathOutcome int

const (
	// PathOpen: nothing is known yet, or nothing came in time.
	PathOpen PathOutcome = iota
	// PathRefused: the host answers, and nobody listens there.
	PathRefused
	// PathAnswered: a coordinator answered.
	PathAnswered
	// PathOwn: the address leads back to the process that asks.
	PathOwn
)

// Path is what is known of one address at which a process is looked for.
type Path struct {
	Outcome PathOutcome
	// Local: the address is the asking machine's own, at another port. The
	// wanted process may be on this machine, or have an address that many have.
	Local bool
	// Answer of PathAnswered.
	Answer Answer
}

// Finding is what all paths to a wanted process say together.
type Finding struct {
	// Match is the best one of all answers, Elsewhere without any.
	Match Match
	// Refused: every address that may lead to the process refuses.
	Refused bool
	// Displaced: every address leads to somebody else.
	Displaced bool
	// Open: an address that may lead to the process has said nothing yet.
	Open bool
}

// Ended reports whether the wanted process cannot be running: another one has
// its place, and no address may still lead to it.
func (f Finding) Ended() bool {
	return !f.Open && (f.Match == Superseded || f.Match == Restarted)
}

// Look puts together what is known of all addresses. An address that leads
// elsewhere, or back to the asker, has no say. Nor has a refusal of the asking
// machine itself, unless the wanted process has no other address.
func (w Wanted) Look(paths []Path) Finding {
	var f Finding
	refused, local, elsewhere, others := 0, 0, 0, 0
	for _, p := range paths {
		m := w.Match(p.Answer)
		switch {
		case p.Outcome == PathOwn:
		case p.Outcome == PathRefused && p.Local:
			local++
		case p.Outcome == PathRefused:
			refused++
		case p.Outcome == PathOpen:
			f.Open = true
			others++
		case m == Elsewhere:
			elsewhere++
		default:
			f.Match = max(f.Match, m)
			others++
		}
	}
	f.Refused = others == 0 && (refused > 0 || elsewhere == 0 && local > 0)
	f.Displaced = others == 0 && refused == 0 && elsewhere > 0
	return f
}
