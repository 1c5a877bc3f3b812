package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
)

// unitSettings reads a systemd unit: the values of each setting, as SECTION.KEY.
func unitSettings(t *testing.T, text string) map[string][]string {
	t.Helper()
	settings, section := map[string][]string{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || section == "" {
				t.Errorf("the unit has a line that is no setting: %q", line)
			}
			settings[section+"."+key] = append(settings[section+"."+key], value)
		}
	}
	return settings
}

func shippedUnit(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "arc-coordinator.service"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// restarted reports whether Restart=on-failure starts a program again that ended
// with the status. Signals are compared by their names.
func restarted(s map[string][]string, status syscall.WaitStatus) bool {
	how := strconv.Itoa(status.ExitStatus())
	clean := []string{"0", "SIGHUP", "SIGINT", "SIGTERM", "SIGPIPE"}
	if status.Signaled() {
		how = unix.SignalName(status.Signal())
	}
	for _, key := range []string{"Service.SuccessExitStatus", "Service.RestartPreventExitStatus"} {
		clean = append(clean, strings.Fields(strings.Join(s[key], " "))...)
	}
	return !slices.Contains(clean, how)
}

// crashes are ways in which the Go runtime ends a program.
var crashes = map[string]func(){
	"panic": func() { panic("crash") },
	"fatal error": func() {
		debug.SetMaxStack(1 << 16)
		var deeper func(int) int
		deeper = func(n int) int { return deeper(n+1) + 1 }
		deeper(0)
	},
	"SIGABRT": func() { _ = syscall.Kill(os.Getpid(), syscall.SIGABRT); select {} },
	"SIGQUIT": func() { _ = syscall.Kill(os.Getpid(), syscall.SIGQUIT); select {} },
	"SIGSEGV": func() { _ = syscall.Kill(os.Getpid(), syscall.SIGSEGV); select {} },
	"SIGKILL": func() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} },
}

// systemd starts a coordinator again however it crashed, and not after a planned
// end. The Go runtime ends with the status that stands for a wrong option.
func TestTheUnitRestartsAfterACrash(t *testing.T) {
	s := unitSettings(t, shippedUnit(t))
	for how := range crashes {
		t.Run(how, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "arc-crash", how)
			var ended *exec.ExitError
			if err := cmd.Run(); !errors.As(err, &ended) {
				t.Fatalf("it does not crash: %v", err)
			}
			if status := ended.Sys().(syscall.WaitStatus); !restarted(s, status) {
				t.Errorf("%v: the unit does not start it again", ended)
			}
		})
	}
	if restarted(s, syscall.WaitStatus(exitDone)) {
		t.Error("the unit starts it again after arc leave")
	}
}

// The unit that ARC ships starts a coordinator as the command line is today, and
// systemd takes it.
func TestTheUnitFitsTheCommand(t *testing.T) {
	text := shippedUnit(t)
	s := unitSettings(t, text)
	starts := s["Service.ExecStart"]
	if len(starts) != 1 {
		t.Fatalf("ExecStart is given %d times, want once", len(starts))
	}
	words := strings.Fields(starts[0])
	if !filepath.IsAbs(words[0]) || filepath.Base(words[0]) != "arc" {
		t.Errorf("ExecStart begins with %s, want the path of arc", words[0])
	}
	f := testFactory()
	f.uid = 0 // as systemd starts it
	cmd, rest, err := newRootCmd(f).Find(words[1:])
	if err != nil || cmd.Name() != "coordinator" {
		t.Fatalf("ExecStart runs %v, %v; want arc coordinator", cmd, err)
	}
	if err := cmd.ParseFlags(rest); err != nil || cmd.Flags().NArg() > 0 {
		t.Errorf("%s: %v, arguments %v", starts[0], err, cmd.Flags().Args())
	}
	// Where a secret is at its default place.
	config := t.TempDir()
	f.uid, f.env = 1000, func(name string) (string, bool) {
		return filepath.Join(config, name), strings.HasPrefix(name, "XDG_")
	}
	if err := os.MkdirAll(filepath.Join(config, "XDG_CONFIG_HOME", "arc"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(config, "XDG_CONFIG_HOME", "arc", "secret"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	flags := pflag.NewFlagSet("coordinator", pflag.ContinueOnError)
	o := newCoordinatorFlags(flags, f)
	if err := flags.Parse(rest); err != nil {
		t.Errorf("%s: %v", starts[0], err)
	} else if err := o.resolve(f); err != nil {
		t.Errorf("%s: %v", starts[0], err)
	}
	for key, want := range map[string]string{
		"Service.KillMode":           "process", // the monitor outlives its coordinator
		"Service.Restart":            "on-failure",
		"Service.RestartSec":         "1",
		"Unit.StartLimitIntervalSec": "0", // no number of restarts is too many
		"Install.WantedBy":           "multi-user.target",
	} {
		if got := strings.Join(s[key], " "); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}

	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Logf("systemd itself is not asked: %v", err)
		return
	}
	// It wants a program that exists.
	unit := filepath.Join(t.TempDir(), "arc-coordinator.service")
	if err := os.WriteFile(unit, []byte(strings.Replace(text, words[0], "/bin/true", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
