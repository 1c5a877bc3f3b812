package main

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
)

func testFactory() *factory {
	return &factory{
		uid:        1, // not root, whose defaults are directories of this machine
		env:        func(string) (string, bool) { return "", false },
		environ:    func() []string { return nil },
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

// No command takes a wrong word, flag or value, whether or not a help is asked
// for: exit code 2, and nothing that looks like a result.
func TestEveryCommandRefusesMistakes(t *testing.T) {
	mistakes := [][]string{{"--nosuch"}, {"-o", "xml"}, {"--timeout", "soon"}, {"a", "b", "c", "d"}}
	var paths []string
	walk(newRootCmd(testFactory()), func(cmd *cobra.Command) { paths = append(paths, cmd.CommandPath()) })
	for _, path := range paths {
		words := strings.Fields(path)[1:]
		for _, m := range mistakes {
			for _, args := range [][]string{
				slices.Concat(words, m), slices.Concat(m, words),
				slices.Concat(words, []string{"--help"}, m), slices.Concat(words, m, []string{"--help"}),
			} {
				f := testFactory()
				var out bytes.Buffer
				f.out, f.err = &out, io.Discard
				err := execute(t.Context(), f, args)
				if code := exitCode(err); code != exitUsage || out.Len() > 0 {
					t.Errorf("arc %s: exit code %d with %d bytes of output, want %d and none: %v", strings.Join(args, " "), code, out.Len(), exitUsage, err)
				}
			}
		}
	}
}

// A flag that is given without a value is a mistake, and not the same as one that
// is not given: a variable of a script may have been empty. Only a list may be.
func TestNoFlagIsGivenEmpty(t *testing.T) {
	lists := []string{"join", "interface"}
	walk(newRootCmd(testFactory()), func(cmd *cobra.Command) {
		if !cmd.Runnable() || cmd.CommandPath() == "arc config show" { // which judges nothing
			return
		}
		cmd.InheritedFlags() // adds them to the others
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			if flag.Value.Type() == "bool" || slices.Contains(lists, flag.Name) {
				return
			}
			f := testFactory()
			f.out, f.err = io.Discard, io.Discard
			args := append(strings.Fields(cmd.CommandPath())[1:], "--"+flag.Name+"=")
			err := execute(t.Context(), f, args)
			if exitCode(err) != exitUsage {
				t.Errorf("arc %v: exit code %d, want %d: %v", args, exitCode(err), exitUsage, err)
			}
		})
	})
}

// What no member is called is a mistake on the command line; no ring is asked.
func TestNamesAreChecked(t *testing.T) {
	for _, name := range []string{"a b", "\x1b[2J", "\xff", "", strings.Repeat("n", 100_000)} {
		for _, args := range [][]string{
			{"evict", name}, {"forget", name}, {"handover", name}, {"relink", "--target", name}, {"config", "set", "profile=" + name},
			{"recover", "--yes", "--data-dir", t.TempDir(), "--gone", name},
		} {
			f := testFactory()
			f.out, f.err = io.Discard, io.Discard
			if err := execute(t.Context(), f, args); exitCode(err) != exitUsage {
				t.Errorf("arc %.60q: exit code %d, want %d: %.300v", args, exitCode(err), exitUsage, err)
			}
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, unix.ENOSPC }

func TestAHelpThatCannotBeWrittenFails(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"help", "status"}, {"exit-codes"}, {"config", "get", "--help"}, {"completion", "bash"}, {"version"}} {
		f := testFactory()
		f.out, f.err = fullDisk{}, io.Discard
		if err := execute(t.Context(), f, args); exitCode(err) != exitFailed || !errors.Is(err, unix.ENOSPC) {
			t.Errorf("arc %q: exit code %d, want %d: %v", args, exitCode(err), exitFailed, err)
		}
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
		{"--expect 3 --secret-file s", ""},
		{"--secret-file s --no-autodiscovery --join 10.0.0.5:7400,10.0.0.6:7400", ""},
		{"--tls-cert c --tls-key k --tls-ca a --no-autodiscovery --join 10.0.0.5:7400", ""},
		{"--tls-cert c --tls-key k --tls-ca a --expect 3", "--secret-file"},
		{"--expect 3 --insecure --secret-file s", "one of the two"},
		{"--expect 3 --secret-file=", "--secret-file is empty"},
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

// A flag's help names what the flag takes, not the type that holds it.
func TestEveryFlagNamesWhatItTakes(t *testing.T) {
	walk(newRootCmd(testFactory()), func(cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if name, _ := pflag.UnquoteUsage(f); name != strings.ToUpper(name) {
				t.Errorf("%s --%s %s", cmd.CommandPath(), f.Name, name)
			}
		})
	})
}
