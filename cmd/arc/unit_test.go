package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
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

// The unit that ARC ships starts a coordinator as the command line is today, and
// systemd takes it.
func TestTheUnitFitsTheCommand(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "arc-coordinator.service"))
	if err != nil {
		t.Fatal(err)
	}
	s := unitSettings(t, string(b))
	starts := s["Service.ExecStart"]
	if len(starts) != 1 {
		t.Fatalf("ExecStart is given %d times, want once", len(starts))
	}
	words := strings.Fields(starts[0])
	if !filepath.IsAbs(words[0]) || filepath.Base(words[0]) != "arc" {
		t.Errorf("ExecStart begins with %s, want the path of arc", words[0])
	}
	f := testFactory()
	cmd, rest, err := newRootCmd(f).Find(words[1:])
	if err != nil || cmd.Name() != "coordinator" {
		t.Fatalf("ExecStart runs %v, %v; want arc coordinator", cmd, err)
	}
	if err := cmd.ParseFlags(rest); err != nil || cmd.Flags().NArg() > 0 {
		t.Errorf("%s: %v, arguments %v", starts[0], err, cmd.Flags().Args())
	}
	flags := newRootCmd(f).Flags()
	o := newCoordinatorFlags(flags, f)
	if err := flags.Parse(rest); err != nil {
		t.Errorf("%s: %v", starts[0], err)
	} else if err := o.resolve(f); err != nil {
		t.Errorf("%s: %v", starts[0], err)
	}
	for key, want := range map[string]string{
		"Service.RestartPreventExitStatus": strconv.Itoa(exitUsage),
		"Service.KillMode":                 "process", // the monitor outlives its coordinator
		"Service.Restart":                  "on-failure",
		"Install.WantedBy":                 "multi-user.target",
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
	if err := os.WriteFile(unit, []byte(strings.Replace(string(b), words[0], "/bin/true", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
