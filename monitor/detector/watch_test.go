package detector

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/mono"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts in testdata give now as what they should give")

// TestScripts runs testdata/*.txt. A script is a row of blocks: comments,
// one command, a line of dashes, and what the command gives. The commands:
//
//	link epoch=N term=N targets=ID,ID… leader=ID ordinary=200ms*5 fast=100ms*5 [incarnation=N] [detour=ID/5s]
//	run DURATION        time passes; those who live answer 1 ms after a probe
//	silence ID…         they stop answering
//	answer ID…          they answer (again)
//	broken, refused, foreign ID
//	stall DURATION      time passes in which nobody ticks
//	excuse ID
//	look                what is thought of everybody looked at
//
// Pings are left out of what is printed.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts in testdata (%v)", err)
	}
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(content))
			if *rewrite {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, have := strings.Split(string(content), "\n"), strings.Split(got, "\n")
			for i := range max(len(want), len(have)) {
				var w, h string
				if i < len(want) {
					w = want[i]
				}
				if i < len(have) {
					h = have[i]
				}
				if w != h {
					t.Fatalf("%s:%d: got %q, want %q\nall that it gave:\n%s", path, i+1, h, w, got)
				}
			}
		})
	}
}

const dashes = "----"

func runScript(t *testing.T, content string) string {
	var out strings.Builder
	s := &scene{Watch: NewWatch(1), t: t, silent: map[uint64]bool{}}
	expecting := false
	for _, line := range strings.Split(strings.TrimRight(content, "\n"), "\n") {
		switch {
		case line == "":
			expecting = false
			out.WriteString("\n")
		case expecting:
			// What was expected: the output takes its place.
		case strings.HasPrefix(line, "#"):
			out.WriteString(line + "\n")
		case line == dashes:
			expecting = true
		default:
			out.WriteString(line + "\n" + dashes + "\n" + s.run(line))
		}
	}
	return out.String()
}

type scene struct {
	*Watch
	t      *testing.T
	now    mono.Instant
	silent map[uint64]bool
	pongs  []pong
	out    strings.Builder
}

type pong struct {
	at      mono.Instant
	id, seq uint64
}

func (s *scene) run(line string) string {
	s.out.Reset()
	words := strings.Fields(line)
	ids := func() (ids []uint64) {
		for _, w := range words[1:] {
			ids = append(ids, s.number(w))
		}
		return ids
	}
	switch words[0] {
	case "link":
		s.do(s.Relink(s.now, s.parseLink(words[1:])))
	case "run":
		s.pass(s.duration(words[1]))
	case "stall":
		s.now = s.now.Add(s.duration(words[1]))
	case "silence":
		for _, id := range ids() {
			s.silent[id] = true
		}
	case "answer":
		for _, id := range ids() {
			delete(s.silent, id)
		}
	case "broken":
		s.do(s.Broken(s.now, ids()[0]))
	case "refused":
		s.do(s.Refused(s.now, ids()[0]))
	case "foreign":
		s.do(s.Foreign(s.now, ids()[0]))
	case "excuse":
		s.Excuse(ids()[0])
	case "look":
		for _, id := range s.Watched() {
			state, reason := s.Look(s.now, id)
			fmt.Fprintf(&s.out, "%d %v: %v\n", id, state, reason)
		}
	default:
		s.t.Fatalf("unknown command %q", line)
	}
	if s.out.Len() == 0 {
		return "ok\n"
	}
	return s.out.String()
}

// pass lets time go by, event by event.
func (s *scene) pass(d time.Duration) {
	end := s.now.Add(d)
	for {
		next, ok := s.NextTick()
		tick := ok && next <= end
		if len(s.pongs) > 0 && s.pongs[0].at <= end && (!tick || s.pongs[0].at < next) {
			p := s.pongs[0]
			s.pongs = s.pongs[1:]
			s.now = max(s.now, p.at)
			if !s.silent[p.id] {
				s.do(s.Pong(s.now, p.id, p.seq, 0))
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

func (s *scene) do(actions []Action) {
	for _, a := range actions {
		if a.Kind == Ping {
			s.pongs = append(s.pongs, pong{mono.Instant(s.now.Add(ms)), a.Target.ID, a.Seq})
			continue
		}
		fmt.Fprintf(&s.out, "%v %v %d", s.now, a.Kind, a.Target.ID)
		if a.Evidence != "" {
			fmt.Fprintf(&s.out, " %s", a.Evidence)
		}
		if a.Kind == Suspected || a.Kind == Cleared {
			fmt.Fprintf(&s.out, " term %d: %v", a.Term, a.Reason)
		}
		if a.Repeat {
			s.out.WriteString(" (again)")
		}
		s.out.WriteString("\n")
	}
}

func (s *scene) parseLink(words []string) Link {
	l := Link{OrdinaryTiming: Config{200 * ms, 5}, LeaderTiming: Config{100 * ms, 5}}
	incarnation := uint64(1)
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "epoch":
			l.Epoch = s.number(v)
		case "term":
			l.Term = s.number(v)
		case "leader":
			l.Leader = s.number(v)
		case "ordinary":
			l.OrdinaryTiming = s.timing(v)
		case "fast":
			l.LeaderTiming = s.timing(v)
		case "incarnation":
			incarnation = s.number(v)
		case "detour":
			id, d, _ := strings.Cut(v, "/")
			l.Detour, l.DetourFor = &Target{ID: s.number(id), Incarnation: 1, Addresses: []string{"n" + id + ":7400"}}, s.duration(d)
		case "targets":
			for id := range strings.SplitSeq(v, ",") {
				l.Targets = append(l.Targets, Target{ID: s.number(id), Addresses: []string{"n" + id + ":7400"}})
			}
		default:
			s.t.Fatalf("unknown key %q", w)
		}
	}
	for i := range l.Targets {
		l.Targets[i].Incarnation = incarnation
	}
	return l
}

func (s *scene) number(w string) uint64 {
	n, err := strconv.ParseUint(w, 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *scene) duration(w string) time.Duration {
	d, err := time.ParseDuration(w)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *scene) timing(w string) Config {
	interval, misses, _ := strings.Cut(w, "*")
	return Config{s.duration(interval), int(s.number(misses))}
}

// A row of dead members costs one detection time and an interval for each
// doubling of its length.
func TestARowOfDeadMembersCostsOneDetectionTime(t *testing.T) {
	for dead := 1; dead <= 15; dead++ {
		s := &scene{Watch: NewWatch(1), t: t, silent: map[uint64]bool{}}
		l := Link{OrdinaryTiming: Config{100 * ms, 5}, LeaderTiming: Config{100 * ms, 5}}
		for id := uint64(1); id <= 20; id++ {
			l.Targets = append(l.Targets, Target{ID: id})
			s.silent[id] = id <= uint64(dead)
		}
		delete(s.silent, 1)
		s.do(s.Relink(0, l))
		s.pass(time.Second + 50*ms)
		s.silent[1] = true
		died := s.now
		doublings := 0
		for n := 1; n < dead; n *= 2 {
			doublings++
		}
		s.pass(100 * ms * time.Duration(5+1+doublings))
		for id := uint64(1); id <= uint64(dead); id++ {
			if state, reason := s.Look(s.now, id); state != Suspect {
				t.Errorf("%d dead: %d is %v (%v) %v after they died", dead, id, state, reason, s.now.Sub(died))
			}
		}
		if state, _ := s.Look(s.now, uint64(dead)+1); state != Alive {
			t.Errorf("%d dead: the first living one is %v", dead, state)
		}
	}
}

func TestWatchedIsBounded(t *testing.T) {
	s := &scene{Watch: NewWatch(1), t: t, silent: map[uint64]bool{}}
	l := Link{OrdinaryTiming: Config{100 * ms, 1}, LeaderTiming: Config{100 * ms, 1}}
	for id := uint64(1); id <= 100; id++ {
		l.Targets = append(l.Targets, Target{ID: id})
		s.silent[id] = true
	}
	s.do(s.Relink(0, l))
	s.pass(time.Minute)
	if got := len(s.Watched()); got != MaxWatched {
		t.Errorf("%d members are looked at, want %d", got, MaxWatched)
	}
	s.do(s.Relink(s.now, Link{}))
	if _, ok := s.NextTick(); ok || len(s.Watched()) != 0 {
		t.Errorf("an empty link leaves %v", s.Watched())
	}
}

func TestTermIsTheNewestKnown(t *testing.T) {
	s := &scene{Watch: NewWatch(1), t: t, silent: map[uint64]bool{}}
	l := Link{Epoch: 1, Term: 7, Targets: []Target{{ID: 2, Incarnation: 5}}, OrdinaryTiming: Config{ms, 1}, LeaderTiming: Config{ms, 1}}
	s.Relink(0, l)
	s.Pong(0, 2, 1, 9)
	if a := s.Refused(0, 2); len(a) == 0 || a[0].Term != 9 {
		t.Errorf("actions %v, want a suspicion of term 9", a)
	}
	l.Term = 8
	s.Relink(0, l)
	if s.Term() != 9 {
		t.Errorf("term %d after an older link, want 9", s.Term())
	}
}

func TestAnotherIncarnationIsToldOnceAnEpoch(t *testing.T) {
	s := &scene{Watch: NewWatch(1), t: t, silent: map[uint64]bool{}}
	l := Link{Epoch: 1, Targets: []Target{{ID: 2, Incarnation: 5}, {ID: 3, Incarnation: 6}}, OrdinaryTiming: Config{10 * ms, 3}, LeaderTiming: Config{ms, 1}}
	reports := func(actions []Action) int {
		return len(slices.DeleteFunc(slices.Clone(actions), func(a Action) bool { return a.Kind != Suspected || a.Target.ID != 2 }))
	}
	s.Relink(0, l)
	if n := reports(s.Foreign(0, 2)); n != 1 {
		t.Errorf("%d reports of another incarnation, want 1", n)
	}
	for i := range time.Duration(20) {
		s.Tick(mono.Instant(i * 10 * ms))
		if n := reports(s.Foreign(mono.Instant(i*10*ms), 2)); n != 0 {
			t.Fatalf("told again in the same epoch")
		}
	}
	l.Epoch = 2
	s.Relink(mono.Instant(200*ms), l)
	if n := reports(s.Tick(mono.Instant(200 * ms))); n != 1 {
		t.Errorf("%d reports in the next epoch, want 1", n)
	}
	// The ring learns of it: nothing is known about the new incarnation.
	l.Epoch, l.Targets[0].Incarnation = 3, 99
	l.Targets = slices.Clone(l.Targets)
	s.Relink(mono.Instant(210*ms), l)
	if state, _ := s.Look(mono.Instant(210*ms), 2); state != Unknown {
		t.Errorf("the new incarnation is %v, want unknown", state)
	}
}

// Its former address is somebody else's now, or nobody's, and what the monitor
// found there is repeated to the ring while it lasts.
func TestWhatWasFoundAtAnOldAddressIsForgotten(t *testing.T) {
	for _, c := range []struct {
		name      string
		find      func(s *scene)
		want      []Kind
		wantState State
	}{
		{"refused", func(s *scene) { s.Refused(mono.Instant(10*ms), 2) }, []Kind{Move, Cleared}, Unknown},
		{"somebody else", func(s *scene) { s.Foreign(mono.Instant(10*ms), 2) }, []Kind{Move, Cleared}, Unknown},
		{"silent", func(s *scene) {
			for i := range time.Duration(6) {
				s.Tick(mono.Instant(i * 10 * ms))
			}
		}, []Kind{Move}, Suspect},
		{"nothing", func(*scene) {}, []Kind{Move}, Unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &scene{Watch: NewWatch(1), t: t, silent: map[uint64]bool{}}
			l := Link{Epoch: 1, Targets: []Target{{ID: 2, Incarnation: 5, Addresses: []string{"old"}}}, OrdinaryTiming: Config{10 * ms, 3}, LeaderTiming: Config{ms, 1}}
			s.Relink(0, l)
			c.find(s)
			l.Targets = []Target{{ID: 2, Incarnation: 5, Addresses: []string{"new"}}}
			var kinds []Kind
			for _, a := range s.Relink(mono.Instant(70*ms), l) {
				kinds = append(kinds, a.Kind)
			}
			if !slices.Equal(kinds, c.want) {
				t.Errorf("actions %v, want %v", kinds, c.want)
			}
			if state, _ := s.Look(mono.Instant(70*ms), 2); state != c.wantState {
				t.Errorf("it is %v, want %v", state, c.wantState)
			}
		})
	}
}
