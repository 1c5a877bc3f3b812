package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/config"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/limits"
)

// errUsage: the command line cannot be understood.
var errUsage = errors.New("usage")

// A usageError is one about the command line, and names the command's help.
type usageError struct {
	err  error
	help string
}

func (e *usageError) Error() string   { return fmt.Sprintf("%v\nsee: %s --help", e.err, e.help) }
func (e *usageError) Unwrap() []error { return []error{errUsage, e.err} }

func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...), cmd.CommandPath()}
}

// execute runs the command line args.
func execute(ctx context.Context, f *factory, args []string) error {
	root := newRootCmd(f)
	ran := false
	resolve := root.PersistentPreRunE
	root.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		ran = true
		return resolve(cmd, args)
	}
	root.SetArgs(args)
	// On a tree of its own: flags remember.
	if err := checkWords(newRootCmd(f), args); err != nil {
		return err
	}
	help := &checkedWriter{to: f.out}
	root.SetOut(help)
	cmd, err := root.ExecuteContextC(ctx)
	if help.err != nil {
		return help.err
	}
	if err != nil && !ran && !errors.Is(err, errUsage) {
		// cobra found an unknown command or flag, or a wrong number of
		// arguments, before anything ran.
		err = &usageError{err, cmd.CommandPath()}
	}
	return limits.Explain(err)
}

// checkedWriter keeps the first error of a writer whose user drops them, as cobra
// does with those of its helps.
type checkedWriter struct {
	to  io.Writer
	err error
}

func (w *checkedWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	if w.err == nil {
		w.err = err
	}
	return n, err
}

// checkWords refuses what cobra does not look at when it prints a help: wrong
// words and values beside --help, and those given to a command that only groups
// or explains others. cobra prints the help and takes that for success.
func checkWords(root *cobra.Command, args []string) error {
	root.InitDefaultCompletionCmd(args...)
	cmd, rest, err := root.Find(args)
	if err != nil {
		return nil // cobra says it
	}
	cmd.InitDefaultHelpFlag()
	if err := cmd.ParseFlags(rest); err != nil {
		return nil // the same
	}
	help, err := cmd.Flags().GetBool("help")
	if err != nil || cmd.Runnable() && !help {
		return nil // the command itself says it
	}
	if words := cmd.Flags().Args(); len(words) > 0 {
		if !cmd.Runnable() {
			return usagef(cmd, "unknown command %s for %q", foreign.Quote(words[0]), cmd.CommandPath())
		}
		if err := cmd.ValidateArgs(words); errors.Is(err, errUsage) {
			return err
		} else if err != nil {
			return &usageError{err, cmd.CommandPath()}
		}
	}
	if err := config.CheckFlags(cmd.Flags()); err != nil {
		return &usageError{err, cmd.CommandPath()}
	}
	return nil
}

// strictHelp makes `arc help` refuse what it has no help for.
func strictHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		if c.Name() != "help" {
			continue
		}
		c.Example = "  arc help config set"
		c.Args = func(c *cobra.Command, args []string) error {
			if _, rest, err := c.Root().Find(args); err != nil || len(rest) > 0 {
				return usagef(c, "no help for %s: no such command or topic", foreign.Quote(strings.Join(args, " ")))
			}
			return nil
		}
		c.Run = nil
		c.RunE = func(c *cobra.Command, args []string) error {
			about, _, err := c.Root().Find(args)
			if err != nil {
				return err
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		}
	}
}

func newRootCmd(f *factory) *cobra.Command {
	root := &cobra.Command{
		Use:   "arc",
		Short: "Exactly one of several machines leads; when it dies, the right other one does",
		Long: `ARC keeps a ring of coordinators, one on each machine, of which exactly one
leads. Each is watched by the monitor of its neighbour and by its own, and when
the leader dies the one that led most recently takes over, in milliseconds.`,
		Example: `  # a whole ring on this machine, to look at and to kill
  arc dev --nodes 5

  # one of three machines
  arc coordinator --expect 3 --insecure

  # who leads?
  arc leader`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetErr(f.err)
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	addGlobals(root, f)
	root.AddGroup(
		&cobra.Group{ID: "look", Title: "Look at the ring:"},
		&cobra.Group{ID: "change", Title: "Change the ring:"},
		&cobra.Group{ID: "run", Title: "Run it:"},
	)
	group := func(id string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	group("look", newStatusCmd(f), newLeaderCmd(f), newHistoryCmd(f), newWatchCmd(f), newTimingCmd(f))
	group("change", newHandoverCmd(f), newLeaveCmd(f), newEvictCmd(f), newForgetCmd(f), newRelinkCmd(f), newConfigCmd(f), newRecoverCmd(f))
	group("run", newCoordinatorCmd(f), newMonitorCmd(f), newDevCmd(f))
	root.AddCommand(newVersionCmd(f), newExitCodesTopic(), newEnvironmentTopic())
	strictHelp(root)
	return root
}

func addGlobals(root *cobra.Command, f *factory) {
	flags := root.PersistentFlags()
	set := config.NewSet(flags)
	var output string
	config.Var(set, &f.addr, config.Spec[string]{Name: "addr", Hint: "ADDR", Default: client.Addr(f.env, f.uid), Parse: config.NonEmpty,
		Usage: "coordinator to ask: unix:///path/arc.sock or host:port"})
	config.Var(set, &output, config.Spec[string]{Name: "output", Short: "o", Hint: "FORMAT", Default: "table", Parse: config.OneOf("table", "json"),
		Usage: "table, or json: protojson of the coordinator's answer"})
	config.Var(set, &f.timeout, config.Spec[time.Duration]{Name: "timeout", Hint: "DURATION", Default: "5s", Parse: config.Duration(time.Millisecond),
		Usage: "how long to wait for an answer"})
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := set.Resolve(f.env, ""); err != nil {
			return &usageError{err, cmd.CommandPath()}
		}
		f.noteUnknownEnv(cmd)
		f.json = output == "json"
		f.timeoutSet = set.Layer("timeout") != config.Default
		return nil
	}
}

// countWords says how many arguments there are, and which.
func countWords(args []string) string {
	switch len(args) {
	case 0:
		return "none"
	case 1:
		return "one: " + foreign.Quote(args[0])
	default:
		return fmt.Sprintf("%d: %s", len(args), foreign.Quote(strings.Join(args, " ")))
	}
}

// exactly and atMost are cobra's argument checks in ARC's words.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef(cmd, "%s wants %s, got %s", cmd.CommandPath(), what, countWords(args))
		}
		return noneEmpty(cmd, args, what)
	}
}

func noneEmpty(cmd *cobra.Command, args []string, what string) error {
	if slices.Contains(args, "") {
		return usagef(cmd, "%s wants %s, got an empty one", cmd.CommandPath(), what)
	}
	return nil
}

func atMost(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return usagef(cmd, "%s wants %s, got %s", cmd.CommandPath(), what, countWords(args))
		}
		return noneEmpty(cmd, args, what)
	}
}

// names refuses, after the check of their number, what no member is called.
func names(count cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := count(cmd, args); err != nil {
			return err
		}
		for _, name := range args {
			if err := foreign.CheckName("name", name); err != nil {
				return usagef(cmd, "%w", err)
			}
		}
		return nil
	}
}

func none(cmd *cobra.Command, args []string) error { return atMost(0, "no argument")(cmd, args) }

// given reports whether a plain flag was set.
func given(flags *pflag.FlagSet, name string) bool { return flags.Changed(name) }
