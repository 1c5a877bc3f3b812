package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func testFactory() *factory {
	return &factory{
		env:        func(string) (string, bool) { return "", false },
		hostname:   func() (string, error) { return "box", nil },
		executable: func() (string, error) { return "/bin/arc", nil },
	}
}

func walk(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, c := range cmd.Commands() {
		walk(c, f)
	}
}

// Every command explains itself, with examples that this program understands.
func TestHelpIsCompleteAndExamplesParse(t *testing.T) {
	examples := 0
	walk(newRootCmd(testFactory()), func(cmd *cobra.Command) {
		if !cmd.Runnable() || cmd.HasSubCommands() {
			return
		}
		if cmd.Short == "" || cmd.Example == "" {
			t.Errorf("%s: no short help or no example", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " | ")
			line, _, _ = strings.Cut(line, " && ")
			args, ok := strings.CutPrefix(line, "arc ")
			if !ok {
				continue
			}
			examples++
			// A fresh tree: flags remember.
			root := newRootCmd(testFactory())
			found, rest, err := root.Find(strings.Fields(args))
			if err != nil {
				t.Errorf("%s: example %q: %v", cmd.CommandPath(), line, err)
				continue
			}
			if found.CommandPath() != cmd.CommandPath() {
				t.Errorf("%s: example %q is for %s", cmd.CommandPath(), line, found.CommandPath())
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%s: example %q: %v", cmd.CommandPath(), line, err)
				continue
			}
			if err := found.ValidateArgs(found.Flags().Args()); err != nil {
				t.Errorf("%s: example %q: %v", cmd.CommandPath(), line, err)
			}
		}
	})
	if examples < 15 {
		t.Errorf("only %d examples were tried", examples)
	}
}

// The options of the coordinator's examples are acceptable, too.
func TestCoordinatorExamplesResolve(t *testing.T) {
	for _, c := range []struct {
		args string
		want string // part of the error
	}{
		{"--expect 3 --insecure", ""},
		{"--insecure --no-autodiscovery --join 10.0.0.5:7400,10.0.0.6:7400", ""},
		{"--bootstrap --bind 127.0.0.1", ""},
		{"--bind ::1 --expect 3", ""},
		{"--bind 10.0.0.5,127.0.0.1 --bootstrap", "10.0.0.5"},
		{"--expect 3", "--insecure"},
		{"--bind 127.0.0.1 --witness --on-join lead", "witness"},
		{"--bind 127.0.0.1 --bootstrap --run-dir /" + strings.Repeat("d", 120), "too long by 23 bytes"},
	} {
		f := testFactory()
		cmd := newCoordinatorCmd(f)
		o := newCoordinatorFlags((&cobra.Command{}).Flags(), f)
		if err := o.flags.Parse(strings.Fields("--data-dir /var/lib/arc " + c.args)); err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		err := o.resolve(f)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s %s: got %v, want %q", cmd.CommandPath(), c.args, err, c.want)
		}
	}
}
