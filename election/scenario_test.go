package election_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// TestScenarios runs the scripts in testdata, each of which tells one
// paragraph of the rules. `go test ./election -run Scenarios -rewrite` writes
// down again what happens; the difference is to be read line by line.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		w := newWorld()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			w.out.Reset()
			if err := w.command(d); err != nil {
				fmt.Fprintf(&w.out, "error: %v\n", err)
			}
			if out := w.out.String(); out != "" {
				return out
			}
			return "ok"
		})
	})
}

func (w *world) command(d *datadriven.TestData) error {
	names := make([]string, 0, len(d.CmdArgs))
	flags := map[string]string{}
	for _, a := range d.CmdArgs {
		if len(a.Vals) == 0 {
			names = append(names, a.Key)
		} else {
			flags[a.Key] = a.Vals[0]
		}
	}
	w.quiet = flags["trace"] == "off"
	switch d.Cmd {
	case "found": // found NAME [profile=P] : a ring of one
		profile := flags["profile"]
		if profile == "" {
			profile = ring.DefaultProfile
		}
		s, err := ring.ProfileSettings(profile)
		if err != nil {
			return err
		}
		w.found(names[0], s)
	case "join": // join NAME… [witness=yes] [on_join=lead]
		for _, n := range names {
			if err := w.join(n, ring.Member{Witness: flags["witness"] == "yes", OnJoin: ring.OnJoin(flags["on_join"])}); err != nil {
				return err
			}
			w.run(50 * time.Millisecond)
		}
	case "run": // run DURATION
		dur, err := time.ParseDuration(names[0])
		if err != nil {
			return err
		}
		w.run(dur)
	case "kill": // kill NAME… [to=NAME] : the process ends, its monitor certifies
		for _, n := range names {
			w.kill(n, true, flags["to"])
		}
	case "claims": // claims NAME [for=D] : the shortest that its claim lasts at any time of D
		l, shortest := w.nodes[names[0]], time.Duration(election.Never)
		dur, err := time.ParseDuration(flags["for"])
		if err != nil {
			return err
		}
		for end := w.now.Add(dur); w.now < end; w.run(50 * time.Microsecond) {
			if _, left, ok := claimOf(l, w.now); !ok {
				return fmt.Errorf("no claim at %v", w.now)
			} else {
				shortest = min(shortest, left)
			}
		}
		fmt.Fprintf(&w.out, "claims all the time, for another %v at least\n", shortest)
	case "pull": // pull NAME… : the machine is gone, nobody certifies
		for _, n := range names {
			w.kill(n, false, "")
			w.nodes[n].gone = true
		}
	case "stop", "cont": // SIGSTOP, SIGCONT
		for _, n := range names {
			nd := w.nodes[n]
			nd.stopped = d.Cmd == "stop"
			backlog := nd.backlog
			nd.backlog = nil
			if !nd.stopped {
				for _, f := range backlog {
					f()
				}
				w.to(nd, func(now election.Instant) { nd.n.Tick(now) })
			}
		}
	case "cut", "heal": // cut A B : messages from A to B are lost
		w.cut[[2]string{names[0], names[1]}] = d.Cmd == "cut"
	case "partition": // partition [NAME…] : the named ones from the others
		w.cut = map[[2]string]bool{}
		for _, a := range names {
			for _, b := range w.order {
				if !slices.Contains(names, b) {
					w.cut[[2]string{a, b}], w.cut[[2]string{b, a}] = true, true
				}
			}
		}
	case "delay": // delay DURATION : what a message takes from now on
		dur, err := time.ParseDuration(names[0])
		if err != nil {
			return err
		}
		w.delay = dur
	case "watch": // watch NAME : its monitor probes the leader, with grants if the settings say so
		for _, n := range names {
			w.watch(n)
		}
	case "suspect": // suspect BY NAME [evidence=silent]
		ev := ring.Evidence(flags["evidence"])
		if ev == "" {
			ev = ring.Silent
		}
		w.suspect(names[0], names[1], ev)
	case "monitor": // monitor NAME off|on : its own monitor cannot be started, or can
		w.to(w.nodes[names[0]], func(now election.Instant) { w.nodes[names[0]].n.MonitorRuns(now, names[1] == "on") })
	case "restart": // restart NAME… : with its disk
		for _, n := range names {
			w.restart(n)
		}
	case "handover": // handover [NAME]
		h := &election.Handover{}
		if len(names) > 0 {
			h.To = w.nodes[names[0]].id
		}
		_, err := w.request(election.Request{Handover: h}, 5*time.Second)
		return err
	case "leave":
		_, err := w.request(election.Request{Leave: &ring.Leave{ID: w.nodes[names[0]].id}}, 5*time.Second)
		return err
	case "evict":
		_, err := w.request(election.Request{Evict: &ring.Evict{ID: w.nodes[names[0]].id, Evidence: ring.Operator}}, 5*time.Second)
		return err
	case "status":
		w.quiet = false
		w.out.WriteString(w.status())
	default:
		return fmt.Errorf("unknown command %q", d.Cmd)
	}
	if strings.Contains(w.out.String(), "VIOLATION") {
		return fmt.Errorf("a guarantee was broken")
	}
	return nil
}
