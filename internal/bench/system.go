package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

// System is one program with one setting, as it is measured and named in the
// tables.
type System struct {
	// ID is what --only is compared with, as keepalived/10ms.
	ID string
	// Name and Setting are for people.
	Name, Setting string
	// MaxHosts bounds the hosts that it is run on, 0 means any number; Why says
	// what is beyond it.
	MaxHosts int
	Why      string
	// Leaderless systems only tell that a member has failed.
	Leaderless bool
	// Takes is about how long its quickest failover takes with n hosts, as its
	// settings say. From this follows in how many labs it may be measured side
	// by side (see labs), and how often it is looked at.
	Takes func(n int) time.Duration
	// Rest is how long it is left alone after it has settled; a fault then falls
	// at random within one Period.
	Rest, Period time.Duration
	// Patience is how long a failover may take, with n hosts.
	Patience func(n int) time.Duration

	// provide finds the programs or fetches them. Its error says why this
	// system is skipped.
	provide func(ctx context.Context, s *shelf) (programs, error)
	// begin makes what runs the system on the hosts of a bed.
	begin func(b *bed, p programs) daemon
}

// always is a time that does not depend on the number of hosts.
func always(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }

// formBound bounds how long n hosts may take to settle, at the start and after
// a trial.
func (s System) formBound(n int) time.Duration {
	return 20*time.Second + time.Duration(n)*time.Second/2 + 3*s.Takes(n)
}

// look is how often is looked whether something has happened that takes about d.
// Nothing measured depends on it, only when the next thing is begun.
func look(d, atLeast time.Duration) time.Duration { return min(max(d/200, atLeast), 10*atLeast) }

// programs are what a system runs.
type programs struct {
	// Path is the daemon's program.
	Path string
	// Env is added to its environment.
	Env []string
	// Args are told the daemon beyond what the system's setting says, since this
	// version knows them.
	Args []string
	// Version is for the report.
	Version string
}

// daemon is a system on the hosts of one lab.
type daemon interface {
	// start starts the daemon on a host, also again after it was killed, and
	// has the ledger told from now on what is seen there.
	start(h *netlab.Host) error
	// unready says why the whole is not settled yet; empty if each host that
	// runs a daemon is a member and all agree on a leader that acts.
	unready() string
	// mortal returns the processes that a kill -9 of the leader kills.
	mortal(h *netlab.Host) []netlab.Found
	// mend makes a host a member again whose cable was out or whose processes
	// were stopped, if it does not become one by itself.
	mend(h *netlab.Host) error
	// close ends the observers.
	close()
}

// bed is a lab with one system on it.
type bed struct {
	lab    *netlab.Lab
	hosts  []*netlab.Host
	ledger *Ledger
	// tails keep, by host, what the daemons said last, for a failed trial's
	// report.
	tails map[int]func() string
}

func (b *bed) numbers() []int {
	var list []int
	for _, h := range b.hosts {
		list = append(list, h.Number())
	}
	return list
}

// hostDir makes a directory on the host's own disk, which only the host itself
// sees under this path (see netlab's Outside).
func (b *bed) hostDir(h *netlab.Host, name string) (string, error) {
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
func (b *bed) run(h *netlab.Host, p programs, args []string, see func(line string)) *netlab.Process {
	c := netlab.Command{Path: p.Path, Args: args, Env: p.Env}
	if see == nil {
		proc := h.StartCommand(c)
		b.tails[h.Number()] = func() string { return lastLines(proc.Stdout()) + lastLines(proc.Stderr()) }
		return proc
	}
	said := &tail{}
	b.tails[h.Number()] = said.text
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
			said.add(line)
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
func (b *bed) says() string {
	const enough = 3
	var all strings.Builder
	for _, h := range b.hosts[:min(enough, len(b.hosts))] {
		if t := b.tails[h.Number()]; t != nil {
			fmt.Fprintf(&all, "--- %s\n%s", h, t())
		}
	}
	return all.String()
}

// allMembers is the part of unready that all systems have in common: everybody
// runs and takes the same acting host for the leader.
func (b *bed) allMembers() string {
	leader := b.ledger.Agreed(b.numbers())
	if leader == nobody {
		return "the hosts do not agree on a leader"
	}
	acting := b.ledger.Acting()
	if len(acting) != 1 || acting[0] != leader {
		return fmt.Sprintf("n%d leads, acting are %v", leader, acting)
	}
	return ""
}
