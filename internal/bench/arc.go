package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/netlab"
	"github.com/arc-ring/arc/internal/observe"
	"github.com/arc-ring/arc/internal/trust"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// arcSystem is ARC with a profile.
func arcSystem(profile string, patience time.Duration) System {
	setting := "profile " + profile
	return System{
		ID: "arc/" + profile, Name: "ARC", Setting: setting,
		Takes: always(10 * time.Millisecond), // a crash, with any profile
		Rest:  300 * time.Millisecond, Period: 250 * time.Millisecond,
		Patience: always(patience),
		provide: func(ctx context.Context, s *installer) (programs, error) {
			p, err := s.own(ctx)
			if err != nil {
				return p, err
			}
			if profile == "realtime" && p.takes(ctx, "--realtime", "coordinator", "--help") {
				p.Args = []string{"--realtime"}
			}
			p.Secret = p.takes(ctx, "--secret-file", "coordinator", "--help")
			p.Version = p.version(ctx, "version")
			if commit, err := output(ctx, "", "git", "rev-parse", "--short", "HEAD"); err == nil {
				p.Version += ", repository at " + strings.TrimSpace(commit)
			}
			return p, nil
		},
		begin: func(e *trialEnv, p programs) daemon {
			return &arcDaemon{env: e, programs: p, args: append([]string{"--profile", profile}, p.Args...), secret: trust.NewSecret(), nodes: map[int]*arcNode{}}
		},
	}
}

// takes reports whether the program's help text knows a flag.
func (p programs) takes(ctx context.Context, flag string, help ...string) bool {
	text, err := output(ctx, "", p.Path, help...)
	return err == nil && hasFlag(text, flag)
}

// hasFlag looks for a flag at the beginning of a help text's line.
func hasFlag(help, flag string) bool {
	for line := range strings.Lines(help) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] == flag {
			return true
		}
	}
	return false
}

type arcDaemon struct {
	env      *trialEnv
	programs programs
	args     []string
	secret   trust.Secret
	nodes    map[int]*arcNode
}

// arcNode is the connection to one host's coordinator.
type arcNode struct {
	api    *client.Client
	cancel context.CancelFunc
	wait   sync.WaitGroup
}

func (d *arcDaemon) start(h *netlab.Host) error {
	data, err := d.env.hostDir(h, "arc")
	if err != nil {
		return err
	}
	if d.nodes[h.Number()] == nil {
		if err := d.watch(h); err != nil {
			return err
		}
	}
	args := []string{"coordinator", "--expect", strconv.Itoa(len(d.env.hosts)), "--data-dir", filepath.Join(data, "data")}
	if d.programs.Secret {
		path := filepath.Join(data, "secret")
		if err := os.WriteFile(h.Outside(path), []byte(d.secret.Hex()), 0o600); err != nil {
			return fmt.Errorf("secret of %s: %w", h, err)
		}
		args = append(args, "--secret-file", path)
	} else {
		args = append(args, "--insecure") // a version from before there were any
	}
	d.env.run(h, d.programs, append(args, d.args...), nil)
	return nil
}

// watch follows the events of a host's coordinator, over all its restarts.
func (d *arcDaemon) watch(h *netlab.Host) error {
	addr := "unix://" + h.Outside("/run/arc/"+client.SocketName)
	api, err := client.New(addr)
	if err != nil {
		return fmt.Errorf("reach the coordinator of %s: %w", h, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := &arcNode{api: api, cancel: cancel}
	d.nodes[h.Number()] = n
	n.wait.Go(func() {
		observe.Follow(ctx, addr, func(event *arcv1.Event) { hear(d.env.timeline, h.Name(), event) }, func() {
			d.env.timeline.Act(h.Number(), false)
			d.env.timeline.See(h.Number(), nobody)
		})
	})
	return nil
}

// hear writes down what an event means that a node told. Who has lost the leader
// and finds the same one again tells only the first (no term is declared twice),
// so leader_lost counts for nothing: what is looked for is the next declaration.
func hear(l *Timeline, node string, event *arcv1.Event) {
	number := hostNumber(node)
	switch d := event.GetDetail().(type) {
	case *arcv1.Event_Snapshot:
		l.See(number, hostNumber(d.Snapshot.GetLeader().GetName()))
		l.Act(number, d.Snapshot.GetClaiming())
	case *arcv1.Event_LeaderDeclared:
		l.See(number, hostNumber(event.Node))
	case *arcv1.Event_ClaimGained:
		if event.Node == node {
			l.Act(number, true)
		}
	case *arcv1.Event_ClaimLost:
		if event.Node == node {
			l.Act(number, false)
		}
	}
}

// hostNumber is that of a host's name, or nobody.
func hostNumber(name string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(name, "n"))
	if err != nil {
		return nobody
	}
	return n
}

func (d *arcDaemon) unready() string {
	var first *arcv1.StatusResponse
	for _, h := range d.env.hosts {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		st, err := d.nodes[h.Number()].api.Status(ctx)
		cancel()
		if err != nil {
			return err.Error()
		}
		if first == nil {
			first = st
		}
		switch {
		case len(st.Members) != len(d.env.hosts):
			return fmt.Sprintf("%s knows %d members", h, len(st.Members))
		case !st.Settled || st.Epoch != first.Epoch || st.GetLeader().GetName() != first.GetLeader().GetName():
			return fmt.Sprintf("%s is not settled: %s", h, st.Reason)
		case slices.ContainsFunc(st.Members, func(m *arcv1.MemberStatus) bool { return !m.Alive }):
			return fmt.Sprintf("%s suspects somebody", h)
		}
	}
	return d.env.allMembers()
}

// The coordinator dies; the monitor is there to tell.
func (d *arcDaemon) mortal(h *netlab.Host) []netlab.Found { return h.Find("coordinator") }

func (d *arcDaemon) mend(*netlab.Host) error { return nil }

func (d *arcDaemon) close() {
	for _, n := range d.nodes {
		n.cancel()
		n.wait.Wait()
		_ = n.api.Close()
	}
}
