package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

// diskBytes is what a disk in memory holds: etcd sets 64 MB aside for each file of its log.
const diskBytes = 512 << 20

// trialEnv is a lab with one system on it, for one trial after the other. It
// belongs to one goroutine at a time.
type trialEnv struct {
	system   System
	tb       *labTB
	lab      *netlab.Lab
	hosts    []*netlab.Host
	timeline *Timeline
	daemon   daemon
	spent    spent
	// said has, by host, what its daemon said last, for a failed trial's report.
	said map[int]func() string
}

// spent is where the time went.
type spent struct{ settling, resting, striking, mending time.Duration }

func (s *spent) add(o spent) {
	s.settling += o.settling
	s.resting += o.resting
	s.striking += o.striking
	s.mending += o.mending
}

// count adds the time since began.
func count(to *time.Duration, began time.Time) { *to += time.Since(began) }

// open makes a lab, starts the system on all its hosts and waits until it has
// settled.
func (r *runner) open(ctx context.Context, s System, n int) (*trialEnv, error) {
	e := &trialEnv{system: s, tb: &labTB{say: r.Say}, timeline: NewTimeline(nil), said: map[int]func() string{}}
	err := e.tb.do(func() error {
		options := netlab.Options{Hosts: n, DiskBytes: diskBytes}
		if r.RealDisk {
			options.DiskBytes = 0
		}
		e.lab = netlab.New(e.tb, options)
		e.hosts = e.lab.Hosts()
		e.daemon = s.begin(e, r.ready[s.ID])
		e.tb.Cleanup(e.daemon.close)
		for _, h := range e.hosts {
			if err := e.daemon.start(h); err != nil {
				return fmt.Errorf("start it on %s: %w", h, err)
			}
		}
		return e.settle(ctx)
	})
	if err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *trialEnv) close() { e.tb.end() }

// settle waits until all is well.
func (e *trialEnv) settle(ctx context.Context) error {
	began := time.Now()
	defer count(&e.spent.settling, began)
	n := len(e.hosts)
	for {
		why := e.daemon.unready()
		if why == "" {
			return nil
		}
		if limit := e.system.formBound(n); time.Since(began) > limit {
			return fmt.Errorf("not settled within %v: %s; the daemons said:\n%s", limit, why, e.says())
		}
		if err := Pause(ctx, look(e.system.Takes(n), 20*time.Millisecond)); err != nil {
			return err
		}
	}
}

// rested waits until all is well and has been for a while, and returns the
// leader. The moment falls anywhere in the rhythm of whatever the daemons do.
func (e *trialEnv) rested(ctx context.Context) (*netlab.Host, error) {
	limit := e.system.formBound(len(e.hosts))
	for began := time.Now(); time.Since(began) < limit; {
		if err := e.settle(ctx); err != nil {
			return nil, err
		}
		since := time.Now()
		err := Pause(ctx, e.system.Rest+time.Duration(rand.Int64N(int64(e.system.Period)+1)))
		count(&e.spent.resting, since)
		if err != nil {
			return nil, err
		}
		if leader := e.timeline.Agreed(e.numbers()); leader != nobody && e.timeline.changes(since) == 0 {
			return e.lab.Host(leader), nil
		}
	}
	return nil, fmt.Errorf("it does not come to rest within %v", limit)
}

func (e *trialEnv) numbers() []int {
	var list []int
	for _, h := range e.hosts {
		list = append(list, h.Number())
	}
	return list
}

// hostDir makes a directory on the host's own disk, which only the host itself
// sees under this path (see netlab's Outside).
func (e *trialEnv) hostDir(h *netlab.Host, name string) (string, error) {
	dir := filepath.Join(h.Dir(), name)
	return dir, os.MkdirAll(h.Outside(dir), 0o755)
}

// writeFile writes a file on the host's own disk.
func writeFile(h *netlab.Host, path, content string) error {
	return os.WriteFile(h.Outside(path), []byte(content), 0o644)
}

// run starts a program on a host; each line that it writes is given to see, in
// a goroutine that ends with the program. Without see nobody reads what it
// writes before something is wrong: reading takes processor time.
func (e *trialEnv) run(h *netlab.Host, p programs, args []string, see func(line string)) *netlab.Process {
	c := netlab.Command{Path: p.Path, Args: args, Env: p.Env}
	if see == nil {
		proc := h.StartCommand(c)
		e.said[h.Number()] = func() string { return lastLines(proc.Stdout()) + lastLines(proc.Stderr()) }
		return proc
	}
	follower := &logFollower{}
	e.said[h.Number()] = follower.text
	r, w := io.Pipe()
	go func() {
		lines := bufio.NewReaderSize(r, 64<<10)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				_ = r.CloseWithError(err)
				return
			}
			line = strings.TrimRight(line, "\n")
			see(line)
			follower.add(line)
		}
	}()
	c.Stdout, c.Stderr = w, w
	proc := h.StartCommand(c)
	go func() {
		<-proc.Done()
		_ = w.Close()
	}()
	return proc
}

// says is the end of what the first daemons said; the others hardly say
// anything else.
func (e *trialEnv) says() string {
	const enough = 3
	var all strings.Builder
	for _, h := range e.hosts[:min(enough, len(e.hosts))] {
		if t := e.said[h.Number()]; t != nil {
			fmt.Fprintf(&all, "--- %s\n%s", h, t())
		}
	}
	return all.String()
}

// allMembers is the part of unready that all systems have in common: everybody
// runs and takes the same acting host for the leader.
func (e *trialEnv) allMembers() string {
	leader := e.timeline.Agreed(e.numbers())
	if leader == nobody {
		return "the hosts do not agree on a leader"
	}
	acting := e.timeline.Acting()
	if len(acting) != 1 || acting[0] != leader {
		return fmt.Sprintf("n%d leads, acting are %v", leader, acting)
	}
	return ""
}
