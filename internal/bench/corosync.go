package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

// corosyncDefault stands for corosync's own token timeout, which grows with the
// nodes.
const corosyncDefault = 0

// corosyncSystem is corosync with a token timeout.
func corosyncSystem(id string, token time.Duration) System {
	setting := "default token"
	if token != corosyncDefault {
		setting = fmt.Sprintf("token %v for any number of nodes", token)
	}
	// It looks at its links some times within a token.
	rhythm := min(corosyncToken(token, 2), time.Second)
	return System{
		ID: "corosync/" + id, Name: "corosync", Setting: setting,
		// The token is missed, and then the consensus not reached, which is 1.2 tokens.
		Takes: func(n int) time.Duration { return corosyncToken(token, n) * 22 / 10 },
		Rest:  time.Second + rhythm, Period: rhythm,
		Patience: func(n int) time.Duration { return 15*time.Second + time.Duration(n)*2*time.Second },
		provide: func(ctx context.Context, s *installer) (programs, error) {
			p, err := s.debian(ctx, "corosync", "corosync")
			if err == nil {
				p.Version = p.version(ctx, "-v")
			}
			return p, err
		},
		begin: func(e *trialEnv, p programs) daemon {
			return &corosyncDaemon{env: e, programs: p, token: token, procs: map[int]*netlab.Process{}, known: map[int]*members{}}
		},
	}
}

// corosyncToken is the timeout that it has, its own default for n nodes included.
func corosyncToken(token time.Duration, n int) time.Duration {
	if token != corosyncDefault {
		return token
	}
	return 3*time.Second + time.Duration(max(n-2, 0))*650*time.Millisecond
}

type corosyncDaemon struct {
	env      *trialEnv
	programs programs
	token    time.Duration
	procs    map[int]*netlab.Process
	known    map[int]*members
}

// corosyncConfig is the smallest one; the transport is its default. Without a
// token coefficient the timeout is the same for any number of nodes. Its
// real-time priority is off: it would starve everything else on few cores.
func corosyncConfig(hosts []corosyncNode, token time.Duration, state string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "totem {\n  version: 2\n  cluster_name: bench\n  transport: knet\n  crypto_cipher: none\n  crypto_hash: none\n")
	if token != corosyncDefault {
		fmt.Fprintf(&b, "  token: %d\n  token_coefficient: 0\n", token.Milliseconds())
	}
	fmt.Fprintf(&b, "}\nnodelist {\n")
	for _, h := range hosts {
		fmt.Fprintf(&b, "  node {\n    nodeid: %d\n    name: n%d\n    ring0_addr: %s\n  }\n", h.number, h.number, h.addr)
	}
	fmt.Fprintf(&b, "}\nquorum {\n  provider: corosync_votequorum\n}\n")
	fmt.Fprintf(&b, "logging {\n  to_stderr: yes\n  to_syslog: no\n  to_logfile: no\n}\n")
	fmt.Fprintf(&b, "system {\n  sched_rr: no\n  state_dir: %s\n}\n", state)
	return b.String()
}

type corosyncNode struct {
	number int
	addr   string
}

// Its own words when the membership changed, and when it lost or regained the
// majority.
var (
	corosyncMembers = regexp.MustCompile(`\[QUORUM\] Members\[\d+\]:((?: \d+)*)`)
	corosyncLost    = "within the non-primary component"
	corosyncGot     = "within the primary component"
)

// parseCorosync changes what is known by a line; ok if the line does.
func parseCorosync(line string) (change func(m *members), ok bool) {
	switch {
	case strings.Contains(line, corosyncLost):
		return func(m *members) { m.quorate = false }, true
	case strings.Contains(line, corosyncGot):
		return func(m *members) { m.quorate = true }, true
	}
	found := corosyncMembers.FindStringSubmatch(line)
	if found == nil {
		return nil, false
	}
	var list []int
	for _, field := range strings.Fields(found[1]) {
		n, err := strconv.Atoi(field)
		if err != nil {
			return nil, false
		}
		list = append(list, n)
	}
	return func(m *members) { m.set(list) }, true
}

func (d *corosyncDaemon) start(h *netlab.Host) error {
	dir, err := d.env.hostDir(h, "corosync")
	if err != nil {
		return err
	}
	state, err := d.env.hostDir(h, filepath.Join("corosync", "state"))
	if err != nil {
		return err
	}
	var nodes []corosyncNode
	for _, other := range d.env.hosts {
		nodes = append(nodes, corosyncNode{other.Number(), other.Addr(0).String()})
	}
	config := filepath.Join(dir, "corosync.conf")
	if err := writeFile(h, config, corosyncConfig(nodes, d.token, state)); err != nil {
		return err
	}
	// Its shared memory is named by process number, and all hosts have the same
	// ones: each gets a /dev/shm of its own.
	script := `mount -t tmpfs shm /dev/shm && exec "$0" -f -c "$1"`
	n := h.Number()
	m := newMembers()
	m.quorate = false
	m.change(d.env.timeline, n, func(*members) {})
	d.known[n] = m
	shell := programs{Path: "/usr/bin/unshare", Env: d.programs.Env}
	d.procs[n] = d.env.run(h, shell, []string{"--mount", "sh", "-c", script, d.programs.Path, config}, func(line string) {
		if change, ok := parseCorosync(line); ok {
			m.change(d.env.timeline, n, change)
		}
	})
	return nil
}

func (d *corosyncDaemon) unready() string {
	for _, h := range d.env.hosts {
		if got := d.known[h.Number()].count(); got != len(d.env.hosts) {
			return fmt.Sprintf("%s knows %d members", h, got)
		}
	}
	return unreadyProcs(d.env, d.procs)
}

func (d *corosyncDaemon) mortal(h *netlab.Host) []netlab.Found { return h.Find("corosync") }

func (d *corosyncDaemon) mend(*netlab.Host) error { return nil }

func (d *corosyncDaemon) close() {}
