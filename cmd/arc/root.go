package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
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

// A usageError is one about the command line. execute adds whose help explains it.
type usageError struct{ error }

func (e usageError) Unwrap() []error { return []error{errUsage, e.error} }

func usagef(format string, args ...any) error { return usage(fmt.Errorf(format, args...)) }

// usage makes an error, if it is one, a usageError.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// execute runs the command line args.
func execute(ctx context.Context, f *factory, args []string) error {
	root := newRootCmd(f)
	root.SetArgs(args)
	// cobra takes a help for success, whatever else the command line says, and
	// drops the error of writing it.
	var text bytes.Buffer
	root.SetOut(&text)
	var mistake error
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if mistake = checkWords(cmd); mistake == nil {
			help(cmd, args)
		}
	})
	cmd, err := root.ExecuteContextC(ctx)
	if _, err := text.WriteTo(f.out); err != nil {
		return err
	}
	err = cmp.Or(err, mistake)
	// Before anything ran, cobra found an unknown command or flag, or a wrong
	// number of arguments.
	if err != nil && (!f.ran || errors.Is(err, errUsage)) {
		err = fmt.Errorf("%w\nsee: %s --help", usage(err), cmd.CommandPath())
	}
	return limits.Explain(err)
}

// checkWords refuses what cobra does not look at when it prints a help: wrong
// words and values beside --help, and those given to a command that only groups
// or explains others.
func checkWords(cmd *cobra.Command) error {
	words := cmd.Flags().Args()
	if len(words) > 0 && !cmd.Runnable() {
		return fmt.Errorf("unknown command %s for %q", foreign.Quote(words[0]), cmd.CommandPath())
	}
	if len(words) > 0 {
		if err := cmd.ValidateArgs(words); err != nil {
			return err
		}
	}
	return errors.Join(config.CheckFlags(cmd.Flags()), checkEmpty(cmd))
}

// checkEmpty refuses flags that are given without a value. Those that a Set
// resolves have their own checks.
func checkEmpty(cmd *cobra.Command) error {
	var errs []error
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if flag.Value.Type() == "string" && flag.Value.String() == "" {
			errs = append(errs, usagef("--%s is empty", flag.Name))
		}
	})
	return errors.Join(errs...)
}

// strictHelp makes `arc help` refuse what it has no help for.
func strictHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	help, _, _ := root.Find([]string{"help"}) // it has just been added
	help.Example = "  arc help config set"
	help.Args = func(_ *cobra.Command, args []string) error {
		if _, rest, err := root.Find(args); err != nil || len(rest) > 0 {
			return usagef("no help for %s: no such command or topic", foreign.Quote(strings.Join(args, " ")))
		}
		return nil
	}
}

func newRootCmd(f *factory) *cobra.Command {
	root := &cobra.Command{
		Use:   "arc",
		Short: "Exactly one of several machines leads; when it dies, the right one takes over",
		Long: `ARC keeps a ring of coordinators, one on each machine. Exactly one of them leads.
Each is watched by its own monitor and by its neighbour's. When the leader dies,
the living member that led most recently takes over: in milliseconds if its process
ended, in about a lease if its machine fell silent ("arc timing" has the times).`,
		Example: `  # a whole ring on this machine, to look at and to kill
  arc dev --nodes 5

  # one of three machines
  arc coordinator --expect 3

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
	group("run", newCoordinatorCmd(f), newMonitorCmd(f), newDevCmd(f), newSecretCmd(f))
	root.AddCommand(newVersionCmd(f), newExitCodesTopic(), newEnvironmentTopic())
	refuseArguments(root)
	strictHelp(root)
	return root
}

func addGlobals(root *cobra.Command, f *factory) {
	set := config.NewSet(root.PersistentFlags())
	var output string
	config.Var(set, &f.addr, "addr", "ADDR", client.Addr(f.env, f.uid), "coordinator to ask: unix:///path/arc.sock or host:port", config.NonEmpty)
	config.Var(set, &f.certificate, "certificate", "FILE", "", "for a host:port: the certificate to show, from arc secret issue", config.Text)
	config.Var(set, &f.secret, "secret-file", "FILE", defaultSecretFile(f), "for a host:port without --certificate: the cluster's secret; the default is used if it is there", config.Text)
	config.Var(set, &output, "output,o", "FORMAT", "table", "table, or json: protojson of the coordinator's answer", config.OneOf("table", "json"))
	config.Var(set, &f.timeout, "timeout", "DURATION", "5s", "how long to wait for an answer", config.Duration(time.Millisecond))
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		f.ran = true
		if err := errors.Join(set.Resolve(f.env, ""), checkEmpty(cmd)); err != nil {
			return usage(err)
		}
		for key, value := range map[string]string{"certificate": f.certificate, "secret-file": f.secret} {
			if value == "" && set.Layer(key) != config.Default {
				return usagef("%s is empty", set.Origin(key))
			}
		}
		if set.Layer("secret-file") == config.Default {
			f.secret = present(f.secret)
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

// between is cobra's check of how many arguments there are, in ARC's words. None
// may be empty.
func between(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least || len(args) > most:
			return usagef("%s wants %s, got %s", cmd.CommandPath(), what, countWords(args))
		case slices.Contains(args, ""):
			return usagef("%s wants %s, got an empty one", cmd.CommandPath(), what)
		}
		return nil
	}
}

// one is for one argument that passes the check, which may be left out if least is 0.
func one(least int, what string, check func(string) error) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := between(least, 1, what)(cmd, args); err != nil || len(args) == 0 {
			return err
		}
		return check(args[0])
	}
}

// checkName refuses what no member is called.
func checkName(name string) error { return usage(foreign.CheckName("name", name)) }

// refuseArguments is for all commands that do not say which arguments they take.
func refuseArguments(parent *cobra.Command) {
	for _, cmd := range parent.Commands() {
		if cmd.Runnable() && cmd.Args == nil {
			cmd.Args = between(0, 0, "no argument")
		}
		refuseArguments(cmd)
	}
}

// first is an argument that may be left out.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
