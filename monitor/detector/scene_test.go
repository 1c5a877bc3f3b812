package detector

import (
	"fmt"
	"strings"
	"time"

	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/ring"
)

// scene is a Watch with members around it, in virtual time: those that are not
// silent answer 1 ms after a probe.
type scene struct {
	*Watch
	now    mono.Instant
	silent map[uint64]bool
	term   uint64 // that the answers tell
	pongs  []pong
	out    strings.Builder // what the watch wants done, pings aside
}

type pong struct {
	at      mono.Instant
	id, seq uint64
}

// newScene has a watch that numbers its grants from so many on.
func newScene(grants uint64) *scene {
	return &scene{Watch: NewWatch(grants), silent: map[uint64]bool{}}
}

// pass lets time go by, event by event.
func (s *scene) pass(d time.Duration) {
	end := s.now.Add(d)
	for {
		next := s.NextTick()
		tick := next <= end
		if len(s.pongs) > 0 && s.pongs[0].at <= end && (!tick || s.pongs[0].at < next) {
			p := s.pongs[0]
			s.pongs = s.pongs[1:]
			s.now = max(s.now, p.at)
			if !s.silent[p.id] {
				s.do(s.Pong(s.now, p.id, p.seq, s.term))
			}
			continue
		}
		if !tick {
			break
		}
		s.now = max(s.now, next)
		s.do(s.Tick(s.now))
	}
	s.now = end
}

// do takes what the watch wants done: it answers pings, and writes the rest down.
func (s *scene) do(actions []Action) {
	for _, a := range actions {
		if a.Kind == Ping {
			s.pongs = append(s.pongs, pong{s.now.Add(ms), a.Target.ID, a.Seq})
			continue
		}
		what := string(a.Kind)
		if a.Kind == Say {
			what = a.Opinion.String()
		}
		fmt.Fprintf(&s.out, "%v %v %d", s.now, what, a.Target.ID)
		if e := a.Opinion.Evidence(); e != "" {
			fmt.Fprintf(&s.out, " %s", e)
		}
		if a.Kind == Say && a.Opinion.Word != (ring.Doubt{}) {
			fmt.Fprintf(&s.out, " term %d: %v", a.Opinion.Term, a.Reason)
		}
		if g := a.Opinion.Grant(); g != 0 {
			fmt.Fprintf(&s.out, "; grant %d has ended", g)
		}
		if a.Repeat {
			s.out.WriteString(" (again)")
		}
		s.out.WriteString("\n")
	}
}
