package bench

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/netlab"
)

// serfSystem is Serf with one of its timing profiles.
func serfSystem(profile string) System {
	return System{
		ID: "serf/" + profile, Name: "Serf", Setting: "profile " + profile,
		Leaderless: true,
		Takes:      always(5 * time.Second),
		Rest:       2 * time.Second, Period: time.Second,
		Patience: always(30 * time.Second),
		provide: func(ctx context.Context, s *installer) (programs, error) {
			p, err := s.debian(ctx, "serf", "serf")
			if err == nil {
				p.Version = p.version(ctx, "version")
			}
			return p, err
		},
		begin: func(e *trialEnv, p programs) daemon {
			return &serfDaemon{env: e, programs: p, profile: profile, procs: map[int]*netlab.Process{}, known: map[int]*members{}}
		},
	}
}

type serfDaemon struct {
	env      *trialEnv
	programs programs
	profile  string
	procs    map[int]*netlab.Process
	known    map[int]*members
}

// serfLine is the agent's word on a member.
var serfLine = regexp.MustCompile(`serf: EventMember(Join|Failed|Leave|Reap): n(\d+)\b`)

// parseSerf tells which member is alive or not by a line; 0 for other lines.
func parseSerf(line string) (member int, alive bool) {
	m := serfLine.FindStringSubmatch(line)
	if m == nil {
		return nobody, false
	}
	return hostNumber(m[2]), m[1] == "Join"
}

func (d *serfDaemon) start(h *netlab.Host) error {
	n := h.Number()
	m := newMembers()
	m.change(d.env.timeline, n, func(*members) {})
	d.known[n] = m
	args := []string{
		"agent", "-node", h.Name(), "-profile", d.profile, "-log-level", "info",
		"-bind", h.Addr(0).String() + ":7946", "-rpc-addr", "127.0.0.1:7373",
	}
	for _, other := range d.env.hosts[:2] {
		if other != h {
			args = append(args, "-retry-join", other.Addr(0).String(), "-retry-interval", "1s")
		}
	}
	d.procs[n] = d.env.run(h, d.programs, args, func(line string) {
		if member, alive := parseSerf(line); member != nobody {
			m.change(d.env.timeline, n, func(m *members) { m.alive[member] = alive })
		}
	})
	return nil
}

func (d *serfDaemon) unready() string {
	for _, h := range d.env.hosts {
		if got := d.known[h.Number()].count(); got != len(d.env.hosts) {
			return fmt.Sprintf("%s knows %d members", h, got)
		}
	}
	return unreadyProcs(d.env, d.procs)
}

func (d *serfDaemon) mortal(h *netlab.Host) []netlab.Found { return h.Find("serf") }

// An agent that was alone for a while tries to meet the others again twice a
// minute; one that starts again joins at once.
func (d *serfDaemon) mend(h *netlab.Host) error {
	if d.known[h.Number()].count() == len(d.env.hosts) {
		return nil
	}
	p := d.procs[h.Number()]
	p.Signal(unix.SIGKILL)
	p.Wait(10 * time.Second)
	return d.start(h)
}

func (d *serfDaemon) close() {}
