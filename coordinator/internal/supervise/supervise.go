package supervise

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/monotime"
	"github.com/arc-ring/arc/internal/plainfile"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	"github.com/arc-ring/arc/queue"
)

// errNoMonitor: there is no monitor to be relinked right now.
var errNoMonitor = fmt.Errorf("%w: the monitor of this node is not connected; it is being restarted, try again", reason.ErrUnreachable)

// Supervisor starts the monitor, keeps it running, and tells it by the queue
// whom to probe. It knows nothing of the ring but the newest link.
type Supervisor struct {
	o Options

	// starting is held while a monitor is being started, until it is process.
	starting sync.Mutex

	mu sync.Mutex
	// reserve are descriptors that are kept back.
	reserve []int
	// missing is why no monitor runs; empty while one does, or is new.
	missing string
	pulse   pulse
	// link is the newest that the core gave; nil before the first.
	link *localv1.Link
	// process and sender are the present monitor's; nil between two.
	process *os.Process
	sender  *queue.Sender
	// registered is true once the monitor takes SIGUSR1: before, the signal
	// would end it.
	registered bool
	// detour is whom the monitor was sent to in place of the link's target.
	detour detour
	// late sends link later; nil if the monitor has it.
	late *time.Timer
	// quiet is set by dismiss: the monitor has to end by the deadline.
	quiet    bool
	deadline time.Time
}

// Options is what a supervisor is made of.
type Options struct {
	Logger hclog.Logger
	// Command starts the monitor; Image, unless empty, is executed in place of
	// its first word.
	Command []string
	Image   string
	// Socket is the unix socket of this coordinator, which is process Incarnation.
	Socket      string
	Incarnation uint64
	PidFile     string
	// Changed hears why no monitor runs, or (empty) that one does.
	Changed func(missing string)
}

// New makes a supervisor that starts nothing before run.
func New(o Options) *Supervisor { return &Supervisor{o: o} }

// Run starts monitors until ctx ends. It then ends the last one, if dismiss
// was called; else it leaves it alone, so that it sees this process end and
// certifies that.
func (s *Supervisor) Run(ctx context.Context) {
	defer s.releaseReserve()
	for attempt := 1; ; attempt++ {
		began := time.Now()
		err := s.once(ctx)
		if ctx.Err() != nil {
			return
		}
		s.mu.Lock()
		s.setMissingLocked(err.Error())
		s.mu.Unlock()
		lived := time.Since(began)
		if lived >= durations.MonitorLived {
			attempt = 1
		}
		pause := durations.MonitorRestart.Pause(attempt)
		level := hclog.Warn
		what := "monitor ended, it is started again"
		if errors.Is(err, errNotStarted) {
			level, what = hclog.Error, "monitor cannot be started, the leader watches in its place meanwhile; it is tried again"
		}
		s.o.Logger.Log(level, what, "error", err, "elapsed", lived, "attempt", attempt, "pause", pause)
		if !connect.Wait(ctx, pause) {
			return
		}
	}
}

// once runs one monitor and returns why it ended, nil if ctx did first.
func (s *Supervisor) once(ctx context.Context) error {
	// What a start needs was kept back, should others have taken all the rest.
	s.releaseReserve()
	sender, file, err := queue.New()
	if err != nil {
		return startError(err)
	}
	args := append(append([]string{}, s.o.Command[1:]...), "--socket", s.o.Socket,
		"--coordinator-pid", strconv.Itoa(os.Getpid()), "--incarnation", strconv.FormatUint(s.o.Incarnation, 10))
	cmd := exec.Command(s.o.Command[0], args...)
	if s.o.Image != "" {
		cmd.Path, cmd.Err = s.o.Image, nil
	}
	cmd.ExtraFiles = []*os.File{file} // descriptor 3
	cmd.Stderr = os.Stderr
	// Or systemd would take the monitor's word for ours.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "NOTIFY_SOCKET=") })
	// A process group of its own: Ctrl-C on a terminal is for the coordinator,
	// which still needs its monitor while it leaves. No Pdeathsig: the monitor
	// has to outlive us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Not under the lock: a start takes milliseconds, and the event loop may
	// have a new link meanwhile. A monitor that registers before we have noted
	// its pid waits for that.
	s.starting.Lock()
	err = cmd.Start()
	_ = file.Close() // or we would never see the monitor's end
	s.mu.Lock()
	if err == nil {
		s.process, s.sender, s.registered = cmd.Process, sender, false
		s.pulse.begin(monotime.Now())
		_ = s.sendLocked(s.link)
	}
	s.mu.Unlock()
	s.starting.Unlock()
	if err != nil {
		_ = sender.Close()
		return startError(err)
	}
	if err := writePid(s.o.PidFile, cmd.Process.Pid); err != nil {
		s.o.Logger.Warn("pid file of the monitor not written", "error", err)
	}
	s.o.Logger.Debug("monitor started", "pid", cmd.Process.Pid)

	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	err = s.attend(ctx, cmd.Process, ended)
	s.mu.Lock()
	quiet, patience := s.quiet, min(durations.MonitorStop, time.Until(s.deadline))
	s.mu.Unlock()
	if err == nil && !quiet {
		// The wait above goes on until this process ends, which is now.
		return nil
	}
	s.forget()
	_ = sender.Close()
	defer os.Remove(s.o.PidFile)
	if err != nil {
		return err
	}
	// The end of the queue ends it too, but not before it has made sure.
	_ = cmd.Process.Signal(unix.SIGTERM)
	select {
	case <-ended:
	case <-time.After(patience):
		s.o.Logger.Warn("monitor did not end with its queue and is killed", "pid", cmd.Process.Pid)
		_ = cmd.Process.Kill()
		<-ended
	}
	return nil
}

func (s *Supervisor) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process, s.sender, s.registered = nil, nil, false
	s.detour = detour{} // the next monitor knows nothing of it
}

// Register notes that the monitor with the pid listens to us.
func (s *Supervisor) Register(pid int) error {
	s.starting.Lock() // for a fork and an exec
	defer s.starting.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil || s.process.Pid != pid {
		return fmt.Errorf("%w: pid %d is not the monitor that this coordinator started", reason.ErrDenied, pid)
	}
	s.registered = true
	s.pulse.beat(monotime.Now())
	s.refillReserveLocked()
	s.setMissingLocked("")
	return nil
}

// Unregister notes that the monitor with the pid listens no longer.
func (s *Supervisor) Unregister(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil && s.process.Pid == pid {
		s.registered = false
	}
}

// SetLink gives the monitor a new link: at once if it is urgent, else a little later.
// All get one when a leader is declared or somebody joins, and the news has to get
// through to everybody first. What follows meanwhile needs no link of its own. It
// never blocks.
func (s *Supervisor) SetLink(link *localv1.Link, urgent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	urgent = urgent || s.detour.name != ""
	s.link, s.detour = link, detour{}
	switch {
	case urgent:
		_ = s.sendLocked(link) // logged; the next monitor is given it again
	case s.late == nil:
		s.late = time.AfterFunc(durations.Idle, s.sendLate)
	}
}

// Target returns the name of whom the monitor probes now, "" if nobody.
func (s *Supervisor) Target() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.targetLocked()
}

func (s *Supervisor) targetLocked() string { return cmp.Or(s.detour.name, targetName(s.link)) }

// sendLate sends the link that is due, unless a later one was sent.
func (s *Supervisor) sendLate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.late != nil {
		_ = s.sendLocked(s.link)
	}
}

// Redial makes the monitor dial its target afresh and returns its name.
func (s *Supervisor) Redial() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == nil || !s.registered {
		return "", errNoMonitor
	}
	link := proto.CloneOf(s.link)
	link.Redial = true
	s.detour = detour{}
	return s.targetLocked(), s.sendLocked(link)
}

// Dismiss tells the monitor that there is nothing to certify and nobody to
// probe, and makes run wait for its end.
// deadline bounds the wait.
func (s *Supervisor) Dismiss(deadline time.Time) {
	s.mu.Lock()
	s.quiet, s.deadline = true, deadline
	s.mu.Unlock()
	s.Idle()
}

// endingMax bounds what a coordinator says of its end, in bytes.
const endingMax = 255

// Ending tells the monitor, which is to certify the end of this process, why it
// ends; clean that nothing is left of what it did as a leader.
func (s *Supervisor) Ending(why string, clean bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endingLocked(why, clean, false)
}

// Over tells the monitor that this incarnation is over although the process goes on:
// the monitor certifies that at once, and ends by itself. Run must have returned.
func (s *Supervisor) Over(why string, clean bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sender == nil {
		return // there is none: others find out without a certificate
	}
	s.endingLocked(why, clean, true)
	_ = s.sender.Close()
	s.sender = nil
}

func (s *Supervisor) endingLocked(why string, clean, over bool) {
	if s.link == nil {
		return
	}
	link := proto.CloneOf(s.link)
	link.Ending, link.Clean, link.Over = foreign.Cut(why, endingMax), clean, over
	_ = s.sendLocked(link)
}

// Idle tells the monitor that this node is no member (for now).
func (s *Supervisor) Idle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	empty := &localv1.Link{Epoch: s.link.GetEpoch(), Term: s.link.GetTerm(), RingId: s.link.GetRingId(), Cluster: s.link.GetCluster()}
	s.link, s.detour = empty, detour{}
	_ = s.sendLocked(empty)
}

// sendLocked queues the link and rings. It logs what goes wrong.
func (s *Supervisor) sendLocked(link *localv1.Link) error {
	if s.late != nil {
		s.late.Stop()
		s.late = nil
	}
	if s.sender == nil || link == nil {
		return nil // the next monitor is given the newest one
	}
	if err := s.sender.Send(link); err != nil {
		if !errors.Is(err, queue.ErrClosed) {
			s.o.Logger.Error("link not queued for the monitor", "epoch", link.GetEpoch(), "error", err)
		}
		return fmt.Errorf("queue the link for the monitor: %w", err)
	}
	if !s.registered {
		return nil // it reads the queue when it starts
	}
	// By the handle of the process, which never means a stranger who has got
	// the same pid.
	if err := s.process.Signal(unix.SIGUSR1); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.o.Logger.Warn("monitor not signalled, it takes the link without", "error", err)
	}
	return nil
}

func targetName(l *localv1.Link) string {
	if s := l.GetSuccessors(); len(s) > 0 {
		return s[0].GetName()
	}
	return ""
}

// writePid writes a pid file that is never seen half.
func writePid(path string, pid int) error {
	return plainfile.Replace(path, []byte(strconv.Itoa(pid)+"\n"), 0o644, false)
}

// KeepPidFile writes the pid file again if something removed it; written is true
// if that was so.
func (s *Supervisor) KeepPidFile() (written bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return false, nil
	}
	if _, err := os.Lstat(s.o.PidFile); !errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return true, writePid(s.o.PidFile, s.process.Pid)
}

// reservedFDs is more than the start of a monitor needs: the queue's two ends,
// what os/exec opens for a moment, the handle of the process, and the connection
// by which it registers.
const reservedFDs = 12

// refillReserveLocked keeps descriptors back, so that the start of a process does not
// fail when connections have taken all that the limit allows. It takes what is missing;
// what cannot be had now is taken next time.
func (s *Supervisor) refillReserveLocked() {
	for len(s.reserve) < reservedFDs {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return
		}
		s.reserve = append(s.reserve, fd)
	}
}

// releaseReserve gives them back to the next caller that opens something.
func (s *Supervisor) releaseReserve() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fd := range s.reserve {
		_ = unix.Close(fd) // nothing was written
	}
	s.reserve = nil
}
