package detector

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestScripts runs the scripts in testdata, each of which tells one story of a
// monitor and its neighbours. `go test ./monitor/detector -run Scripts -rewrite`
// writes down again what happens; the difference is to be read line by line.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := newScene(1)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.out.Reset()
			if err := s.command(d); err != nil {
				d.Fatalf(t, "%v", err)
			}
			if s.out.Len() == 0 {
				return "ok"
			}
			return s.out.String()
		})
	})
}

func (s *scene) command(d *datadriven.TestData) error {
	var a arguments
	a.read(d)
	switch d.Cmd {
	case "link": // link targets=ID,ID… [see linkOf] : whom to look at from now on
		s.do(s.Relink(s.now, a.link()))
	case "run": // run DURATION : time passes
		s.pass(a.duration(a.word(0)))
	case "stall": // stall DURATION : time passes in which this monitor does not run
		s.now = s.now.Add(a.duration(a.word(0)))
	case "silence": // silence ID… : they stop answering
		for i := range a.words {
			s.silent[a.number(a.word(i))] = true
		}
	case "answer": // answer [ID…] [term=N] : they answer (again), all of them with the term
		for i := range a.words {
			delete(s.silent, a.number(a.word(i)))
		}
		s.term = a.number(a.value("term", "0"))
	case "broken": // broken ID : its last stream breaks
		s.do(s.Broken(s.now, a.number(a.word(0))))
	case "refused": // refused ID : all of its addresses refuse the connection
		s.do(s.Refused(s.now, a.number(a.word(0))))
	case "foreign": // foreign ID : somebody else answers in its place
		s.do(s.Foreign(s.now, a.number(a.word(0))))
	case "look": // look : what is thought of everybody that is looked at
		for _, o := range s.open {
			fmt.Fprintf(&s.out, "%d %v: %v\n", o.target.ID, o.det.state, o.det.Reason(s.now))
		}
	default:
		return fmt.Errorf("unknown command %q", d.Cmd)
	}
	return a.err
}

// arguments are those of a command; the first that is wrong is kept.
type arguments struct {
	words  []string
	values map[string]string
	err    error
}

func (a *arguments) read(d *datadriven.TestData) {
	a.values = map[string]string{}
	for _, arg := range d.CmdArgs {
		if len(arg.Vals) == 0 {
			a.words = append(a.words, arg.Key)
		} else {
			a.values[arg.Key] = arg.Vals[0]
		}
	}
}

func (a *arguments) word(i int) string {
	if i < len(a.words) {
		return a.words[i]
	}
	return ""
}

func (a *arguments) value(key, otherwise string) string {
	if v, ok := a.values[key]; ok {
		return v
	}
	return otherwise
}

func (a *arguments) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

func (a *arguments) number(w string) uint64 {
	n, err := strconv.ParseUint(w, 10, 64)
	a.fail(err)
	return n
}

func (a *arguments) duration(w string) time.Duration {
	d, err := time.ParseDuration(w)
	a.fail(err)
	return d
}

// timing reads INTERVAL*MISSES.
func (a *arguments) timing(w string) Config {
	interval, misses, _ := strings.Cut(w, "*")
	return Config{a.duration(interval), int(a.number(misses))}
}

// link reads
//
//	targets=ID,ID…     nearest first
//	epoch=N term=N
//	leader=ID          whose link has the fast timing
//	ordinary=200ms*5 fast=100ms*5
//	incarnation=N      of all targets (1)
//	at=SUFFIX          of their addresses
//	detour=ID/5s       whom to look at first, for how long
//	grant=DURATION     what the leader is given
func (a *arguments) link() Link {
	target := func(id string) Target {
		return Target{ID: a.number(id), Incarnation: a.number(a.value("incarnation", "1")), Addresses: []string{"n" + id + a.value("at", ":7400")}}
	}
	l := Link{
		Epoch: a.number(a.value("epoch", "1")), Term: a.number(a.value("term", "0")), Leader: a.number(a.value("leader", "0")),
		OrdinaryTiming: a.timing(a.value("ordinary", "200ms*5")), LeaderTiming: a.timing(a.value("fast", "100ms*5")),
		GrantLength: a.duration(a.value("grant", "0s")),
	}
	for id := range strings.SplitSeq(a.value("targets", ""), ",") {
		l.Targets = append(l.Targets, target(id))
	}
	if id, d, ok := strings.Cut(a.value("detour", ""), "/"); ok {
		t := target(id)
		l.Detour, l.DetourFor = &t, a.duration(d)
	}
	return l
}
