package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

func (s *Sim) tracing() bool { return s.opt.Trace != nil }

// tracef writes a line of the story. It also counts the core's sentences.
func (s *Sim) tracef(n *node, format string, args ...any) {
	if s.opt.Trace == nil {
		return
	}
	who := "        "
	if n != nil {
		who = fmt.Sprintf("%-4s", n.name)
		if n.id != 0 {
			who += fmt.Sprintf("#%-3d", n.id)
		} else {
			who += "    "
		}
	}
	fmt.Fprintf(s.opt.Trace, "%11.6f  %s  %s\n", time.Duration(s.now).Seconds(), who, fmt.Sprintf(format, args...))
}

func (s *Sim) fail(check, format string, args ...any) { s.failAt(nil, check, format, args...) }

func (s *Sim) failAt(n *node, check, format string, args ...any) {
	if s.failure != nil {
		return
	}
	if slices.Contains(s.opt.Skip, check) {
		s.stats.count("skipped: failures of "+check, 1)
		return
	}
	s.failure = &Failure{Check: check, At: time.Duration(s.now), Text: fmt.Sprintf(format, args...)}
	if n != nil {
		s.failure.Node = fmt.Sprintf("%s (member %d)", n.name, n.id)
	}
	s.tracef(n, "*** %v", s.failure)
}

// describe is a message in a few words.
func describe(m election.Message) string {
	switch {
	case m.Raft != nil:
		r := m.Raft
		return fmt.Sprintf("%v term %d index %d log term %d entries %d commit %d reject %v", r.GetType(), r.GetTerm(), r.GetIndex(), r.GetLogTerm(), len(r.GetEntries()), r.GetCommit(), r.GetReject())
	case m.Renew != nil:
		return fmt.Sprintf("renew term %d seq %d grant %x of %d", m.Renew.Term, m.Renew.Seq, m.Renew.Grant, m.Renew.Watcher)
	case m.RenewAck != nil:
		return fmt.Sprintf("renew-ack term %d seq %d", m.RenewAck.Term, m.RenewAck.Seq)
	case m.Opinion != nil:
		x := m.Opinion
		return fmt.Sprintf("suspicion of %d by %d: %s, term %d, cleared %v, doubt %v, grant %x", x.ID, x.By, x.Evidence(), x.Term, x.Word == (ring.Clear{}), x.Word == (ring.Doubt{}), x.Grant())
	case m.Unwatched != nil:
		return "unwatched"
	case m.Inspect != nil:
		return fmt.Sprintf("inspect %d", m.Inspect.ID)
	case m.Check != nil:
		return fmt.Sprintf("check, answer %v", m.Check.Answer)
	case m.Takeover != nil:
		x := m.Takeover
		return fmt.Sprintf("takeover in term %d, answer %v, able %v, reached %d, stuck %v", x.Term, x.Answer, x.Able, x.Reached, x.Stuck)
	case m.Certificate != nil:
		return fmt.Sprintf("certificate for %d: %s", m.Certificate.ID, m.Certificate.Exit)
	case m.Release != nil:
		return fmt.Sprintf("release term %d up to %d, lapsed %v", m.Release.Term, m.Release.Seq, m.Release.Lapsed)
	case m.Evicted != nil:
		return fmt.Sprintf("evicted: member %d, epoch %d", m.Evicted.ID, m.Evicted.Epoch)
	case m.Return != nil:
		return fmt.Sprintf("return of %d as %x, ask %v", m.Return.ID, m.Return.Incarnation&0xffff, m.Return.Ask)
	}
	return "nothing"
}

func outcome(r election.ProbeResult) string {
	switch r.Outcome {
	case election.Answered:
		if r.AnsweredBy != r.Of.Incarnation {
			return "another incarnation answers"
		}
		return "answers"
	case election.NobodyListens:
		return "nobody listens"
	}
	return "no answer"
}
