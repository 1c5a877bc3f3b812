package devring

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/connect"
)

// dev starts `arc dev` with its ring below a short directory, and waits until
// it has printed how to look at every node.
func dev(t *testing.T, nodes int, more ...string) (cmd *exec.Cmd, dir string, rest *bufio.Scanner) {
	t.Helper()
	root, err := os.MkdirTemp("", "arc-dev-test-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	dir = filepath.Join(root, "ring")
	cmd = exec.Command(binary(t), append([]string{"dev", "--nodes", fmt.Sprint(nodes), "--dir", dir}, more...)...)
	cmd.Env = cleanEnv()
	talk, err := cmd.StderrPipe()
	must(t, err)
	cmd.Stdout = io.Discard
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // an error if the test waited already
	})
	rest = bufio.NewScanner(talk)
	said := 0
	for said < nodes && rest.Scan() {
		if strings.Contains(rest.Text(), "look: arc --addr") {
			said++
		}
	}
	if said < nodes {
		t.Fatalf("arc dev told how to look at %d nodes of %d", said, nodes)
	}
	return cmd, dir, rest
}

// awaitNobody waits until no process of the ring is left.
func awaitNobody(t *testing.T, dir string) {
	t.Helper()
	ctx := within(t, stepBound)
	for len(pidsBelow(dir)) > 0 {
		if !connect.Wait(ctx, 20*time.Millisecond) {
			t.Fatalf("processes %v are left", pidsBelow(dir))
		}
	}
}

func TestDevLeavesNoProcess(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		sig  syscall.Signal
		exit int
	}{{"interrupted", syscall.SIGINT, 0}, {"terminated", syscall.SIGTERM, 0}, {"hung up", syscall.SIGHUP, 0}, {"killed", syscall.SIGKILL, -1}} {
		t.Run(c.name, func(t *testing.T) {
			cmd, dir, rest := dev(t, 3)
			if n := len(pidsBelow(dir)); n < 6 {
				t.Errorf("%d processes run, want 3 coordinators and 3 monitors", n)
			}
			// To the whole group, as a terminal does.
			must(t, syscall.Kill(-cmd.Process.Pid, c.sig))
			for rest.Scan() {
			}
			_ = cmd.Wait() // judged by its code
			if code := cmd.ProcessState.ExitCode(); code != c.exit {
				t.Errorf("exit code %d, want %d", code, c.exit)
			}
			if c.exit == 0 {
				if left := pidsBelow(dir); len(left) > 0 {
					t.Errorf("processes %v are left when arc dev has ended", left)
				}
			}
			awaitNobody(t, dir)
		})
	}
}

func TestDevEndsByItself(t *testing.T) {
	t.Parallel()
	cmd, dir, rest := dev(t, 2, "--duration", "3s")
	for rest.Scan() {
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("arc dev --duration: %v", err)
	}
	awaitNobody(t, dir)
}

// A root directory that arc dev made itself is gone with it, unless something is
// wrong.
func TestDevRemovesItsRoot(t *testing.T) {
	t.Parallel()
	signalled := func(sig syscall.Signal) func(*exec.Cmd, io.Closer) {
		return func(cmd *exec.Cmd, _ io.Closer) { _ = cmd.Process.Signal(sig) }
	}
	unread := func(_ *exec.Cmd, out io.Closer) { _ = out.Close() }
	for _, c := range []struct {
		args, name string
		end        func(*exec.Cmd, io.Closer)
		want       string
	}{
		{"--nodes 1", "interrupted", signalled(syscall.SIGINT), "exit status 0"},
		{"--nodes 1", "hung up", signalled(syscall.SIGHUP), "exit status 0"},
		{"--nodes 1", "unread", unread, "signal: broken pipe"},
		{"--nodes 2 --demo", "interrupted", signalled(syscall.SIGINT), "exit status 1"},
		{"--nodes 2 --demo", "unread", unread, "signal: broken pipe"},
	} {
		t.Run(c.args+" "+c.name, func(t *testing.T) {
			temp, err := os.MkdirTemp("", "arc-dev-test-")
			must(t, err)
			t.Cleanup(func() { _ = os.RemoveAll(temp) })
			cmd := exec.Command(binary(t), append([]string{"dev"}, strings.Fields(c.args)...)...)
			cmd.Env = append(cleanEnv(), "TMPDIR="+temp)
			var said bytes.Buffer
			cmd.Stderr = &said
			out, err := cmd.StdoutPipe()
			must(t, err)
			must(t, cmd.Start())
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait() // an error if the test waited already
			})
			if !bufio.NewScanner(out).Scan() {
				t.Fatal("arc dev prints nothing")
			}
			c.end(cmd, out)
			_ = cmd.Wait() // judged by its state
			if got := cmd.ProcessState.String(); got != c.want {
				t.Errorf("%s, want %s; it said:\n%s", got, c.want, &said)
			}
			left, err := os.ReadDir(temp)
			must(t, err)
			if len(left) > 0 || strings.Contains(said.String(), "are kept in") {
				t.Errorf("left in $TMPDIR: %v; it said:\n%s", left, &said)
			}
		})
	}
}

// A node that a person kills, as told, comes back with --revive.
func TestDevRevives(t *testing.T) {
	t.Parallel()
	_, dir, rest := dev(t, 3, "--revive", "300ms")
	c, err := client.New(client.SocketAddr(filepath.Join(dir, "n1", "run")))
	must(t, err)
	defer func() { _ = c.Close() }()
	before, err := c.Status(within(t, stepBound))
	must(t, err)
	victim := before.GetHeir()
	pid, err := readPID(filepath.Join(dir, victim, "run", "coordinator.pid"))
	must(t, err)
	must(t, signalBelow(pid, dir, syscall.SIGKILL))
	back := regexp.MustCompile(`^` + victim + `: started again`)
	for rest.Scan() && !back.MatchString(rest.Text()) {
	}
	ctx := within(t, stepBound)
	for {
		st, err := c.Status(ctx)
		if err == nil && member(st, victim) != nil && member(st, victim).GetId() > highestID(before) {
			return
		}
		if !connect.Wait(ctx, 50*time.Millisecond) {
			t.Fatalf("%s is not back: %v %v", victim, st, err)
		}
	}
}

// A demonstration that comes to no good end says so: of two, one may go on
// alone by a certificate only, and monitors that are stopped give none.
func TestDemoFailsWhenNobodyCertifies(t *testing.T) {
	t.Parallel()
	r, _ := whole(t, Options{Nodes: 2})
	for _, n := range r.Nodes() {
		must(t, n.SignalMonitor(syscall.SIGSTOP))
	}
	if v, err := r.Demo(within(t, 4*time.Second), t.Output()); err == nil {
		t.Errorf("the demonstration ends well: %+v", v)
	}
}
