package bench

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

const (
	etcdModule  = "go.etcd.io/etcd/server/v3"
	etcdVersion = "v3.7.3"
	// More members than this its makers advise against; in larger groups of
	// machines the others are clients.
	etcdMembers = 7
)

// etcdSystem is etcd with a heartbeat interval and an election timeout.
func etcdSystem(id string, heartbeat, election time.Duration) System {
	return System{
		ID: "etcd/" + id, Name: "etcd", Setting: fmt.Sprintf("heartbeat %v, election %v", heartbeat, election),
		MaxHosts: etcdMembers, Why: fmt.Sprintf("its makers advise at most %d members", etcdMembers),
		Takes: always(election),
		Rest:  500*time.Millisecond + election, Period: heartbeat + 100*time.Millisecond,
		Patience: always(5*time.Second + 10*election),
		provide: func(ctx context.Context, s *installer) (programs, error) {
			p, err := s.module(ctx, "etcd", etcdModule, etcdVersion)
			if err != nil && ctx.Err() == nil {
				s.say("etcd %s is not to be had (%v), trying Debian's", etcdVersion, err)
				p, err = s.debian(ctx, "etcd-server", "etcd")
			}
			if err == nil {
				p.Version = p.version(ctx, "--version")
			}
			return p, err
		},
		begin: func(e *trialEnv, p programs) daemon {
			return &etcdDaemon{
				env: e, programs: p, heartbeat: heartbeat, election: election,
				procs: map[int]*netlab.Process{}, ids: etcdIDs{host: map[string]int{}, waiting: map[int]string{}},
			}
		},
	}
}

type etcdDaemon struct {
	env                 *trialEnv
	programs            programs
	heartbeat, election time.Duration
	procs               map[int]*netlab.Process
	ids                 etcdIDs
}

// etcdIDs knows which host has which of raft's ids.
type etcdIDs struct {
	mu   sync.Mutex
	host map[string]int
	// waiting are hosts that named a leader whose host is not known yet.
	waiting map[int]string
}

// etcdLine is what etcd says when its raft knows another leader.
var etcdLine = regexp.MustCompile(`raft\.node: ([0-9a-f]+) (elected leader|changed leader from [0-9a-f]+ to|lost leader) ([0-9a-f]+) at term \d+`)

// etcdNews is such a line: the member that says so and whom it follows, nobody
// if empty.
type etcdNews struct{ self, leader string }

func parseEtcd(line string) (etcdNews, bool) {
	m := etcdLine.FindStringSubmatch(line)
	if m == nil {
		return etcdNews{}, false
	}
	if m[2] == "lost leader" {
		return etcdNews{self: m[1]}, true
	}
	return etcdNews{self: m[1], leader: m[3]}, true
}

// hear writes down what a host's etcd said.
func (ids *etcdIDs) hear(l *Timeline, host int, news etcdNews) {
	ids.mu.Lock()
	defer ids.mu.Unlock()
	if _, known := ids.host[news.self]; !known {
		ids.host[news.self] = host
		for other, leader := range ids.waiting {
			if leader == news.self {
				delete(ids.waiting, other)
				l.See(other, host)
			}
		}
	}
	delete(ids.waiting, host)
	leader, known := ids.host[news.leader]
	if news.leader != "" && !known {
		ids.waiting[host] = news.leader
	}
	// A host that takes itself for the leader acts: raft has no other notion of it.
	l.Act(host, leader == host)
	l.See(host, leader)
}

func (d *etcdDaemon) start(h *netlab.Host) error {
	data, err := d.env.hostDir(h, "etcd")
	if err != nil {
		return err
	}
	var members []string
	for _, other := range d.env.hosts {
		members = append(members, fmt.Sprintf("%s=http://%s:2380", other, other.Addr(0)))
	}
	peer, public := fmt.Sprintf("http://%s:2380", h.Addr(0)), fmt.Sprintf("http://%s:2379", h.Addr(0))
	n := h.Number()
	d.env.timeline.Act(n, false)
	d.env.timeline.See(n, nobody)
	proc := d.env.run(h, d.programs, []string{
		"--name", h.Name(), "--data-dir", data, "--logger", "zap", "--log-outputs", "stderr",
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
		"--listen-client-urls", public, "--advertise-client-urls", public,
		"--initial-cluster", strings.Join(members, ","), "--initial-cluster-state", "new",
		"--heartbeat-interval", strconv.FormatInt(d.heartbeat.Milliseconds(), 10),
		"--election-timeout", strconv.FormatInt(d.election.Milliseconds(), 10),
	}, func(line string) {
		if news, ok := parseEtcd(line); ok {
			d.ids.hear(d.env.timeline, n, news)
		}
	})
	d.procs[n] = proc
	return nil
}

func (d *etcdDaemon) unready() string { return unreadyProcs(d.env, d.procs) }

func (d *etcdDaemon) mortal(h *netlab.Host) []netlab.Found { return h.Find("etcd") }

func (d *etcdDaemon) mend(*netlab.Host) error { return nil }

func (d *etcdDaemon) close() {}

// unreadyProcs is unready for daemons of one process each.
func unreadyProcs(e *trialEnv, procs map[int]*netlab.Process) string {
	for _, h := range e.hosts {
		if p := procs[h.Number()]; p == nil || !p.Running() {
			return fmt.Sprintf("the daemon of %s has ended", h)
		}
	}
	return e.allMembers()
}
