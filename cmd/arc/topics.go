package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/internal/config"
	"github.com/arc-ring/arc/internal/realtime"
)

func newExitCodesTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("arc exits with\n\n")
	for code, meaning := range exitMeanings {
		fmt.Fprintf(&b, "  %d  %s\n", code, meaning)
	}
	b.WriteString("\nA crash of arc itself ends with 2, too: the Go runtime does so. It prints a stack.")
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: b.String()}
}

func newEnvironmentTopic() *cobra.Command {
	return &cobra.Command{Use: "environment", Short: "Options from the environment", Long: `An option --some-name of the coordinator may be given as ARC_SOME_NAME in the
environment, and so may each one below. A flag of one command, such as --yes, may
not. Flags win over the environment, the environment over the file of --config,
and the file over the defaults. The coordinator alone reads that file.

  ARC_ADDR         coordinator that commands ask
  ARC_RUN_DIR      where the coordinator keeps arc.sock; its default address follows
  ARC_OUTPUT       table or json
  ARC_TIMEOUT      how long commands wait for an answer
  ARC_CONFIG       the coordinator's file
  ARC_SECRET_FILE  file of the cluster's secrets

"arc config show" prints every option of the coordinator and where it came from.
A variable that begins with ARC_ and is no option's is noted on stderr.`}
}

// noteUnknownEnv tells, on one line, of variables that look like an option's and
// are none: one that is mistyped would be ignored without a word.
func (f *factory) noteUnknownEnv(cmd *cobra.Command) {
	switch cmd.Name() {
	case "monitor", // its coordinator has told
		cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd: // nobody asked for anything yet
		return
	}
	if unknown := config.UnknownEnv(f.environ(), knownEnv(cmd.Root())); len(unknown) > 0 {
		f.note("note: the environment has what is no option of arc: %s; see arc help environment", strings.Join(unknown, ", "))
	}
}

// knownEnv returns the variables of all commands' options: one that another
// command reads is known, too.
func knownEnv(cmd *cobra.Command) []string {
	known := append(config.EnvNames(cmd.Flags()), config.EnvNames(cmd.PersistentFlags())...)
	for _, c := range cmd.Commands() {
		known = append(known, knownEnv(c)...)
	}
	return append(known, config.EnvName("config"), realtime.Mark)
}
