package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/coordinator"
	"github.com/arc-ring/arc/internal/config"
	"github.com/arc-ring/arc/internal/logging"
)

func newRecoverCmd(f *factory) *cobra.Command {
	var set *config.Set
	var dataDir string
	var gone []string
	var yes bool
	cmd := &cobra.Command{
		Use:   "recover --gone NAME,...",
		Short: "Found a ring again from one disk, when the others are lost",
		Long: `Founds a ring again from the disk of one node, when so many members are gone for
good that the others are no majority. arc status and the log of a waiting node say
whose disks are needed. Start those machines instead if you can.

Run it on the machine whose disk it is, while its coordinator is stopped, and
start the coordinator afterwards. Ring id, settings and history stay. Tokens go
on far above every known one: for 194 days the former ring cannot issue higher
ones. Members that come back join again by themselves.

What others acknowledged and this disk does not have is lost.

Make sure that the members named by --gone stay off. If they can still lead with
others, two rings lead at once. Rings that hear each other by broadcast warn, and
list each other in arc status.

A copy of the data directory is kept beside it.`,
		Example: `  systemctl stop arc-coordinator
  arc recover --gone n3
  systemctl start arc-coordinator`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := set.Resolve(f.env, ""); err != nil {
				return usage(err)
			}
			if len(gone) == 0 {
				return usagef("--gone is missing: name the members that are lost for good")
			}
			if dataDir == "" {
				return usagef("--data-dir is empty")
			}
			return f.recover(cmd.Context(), dataDir, gone, yes)
		},
	}
	set = config.NewSet(cmd.Flags())
	config.Var(set, &dataDir, "data-dir", "DIR", defaultDataDir(f), "data directory of the stopped coordinator", config.Text)
	config.Var(set, &gone, "gone", "NAME,...", "", "members that are lost for good", config.ListOf(config.Name))
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (f *factory) recover(ctx context.Context, dataDir string, gone []string, confirmed bool) (err error) {
	log, flush := logging.NewAsync(logging.Options{Name: logging.Coordinator, Level: hclog.Warn, Output: f.err})
	defer flush()
	r, err := coordinator.OpenRecovery(dataDir, gone, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	f.note("%s", recoveryPlan(r))
	if !confirmed {
		if err := f.confirm(ctx); err != nil {
			return err
		}
	}
	done, err := r.Do(f.now())
	if err != nil {
		return err
	}
	return f.print(done, func(w io.Writer) {
		fmt.Fprintf(w, "ring %s is founded again: member %d (%s), epoch %d, tokens above %d\nbefore it: %s\nstart the coordinator of %s as ever\n",
			done.RingID, done.ID, done.Name, done.Epoch, done.TokenAbove, done.Copy, done.Name)
	})
}

// recoveryPlan says what is about to be done and what that can cost.
func recoveryPlan(r *coordinator.Recovery) string {
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "  %-10s"+format+"\n", append([]any{what}, args...)...)
	}
	gone := strings.Join(r.Gone, ", ")
	fmt.Fprintf(&b, "Ring %s of cluster %s is to be founded again from the disk of %s alone.\n", r.Ring.RingID, r.Ring.Cluster, r.Name)
	line("disk", "epoch %d, token %d, log up to index %d", r.Ring.Epoch, r.Ring.Term, r.Index)
	line("missing", "%s: %d of the voters %s are needed", gone, r.Needed, strings.Join(r.Voters, ", "))
	if again := r.Rejoin(); len(again) > 0 {
		line("again", "%s: each joins under a new id when it runs, and drops what it has", strings.Join(again, ", "))
	}
	line("lost", "all that others acknowledged and this disk does not have: joins, leaves, settings, leaders")
	line("danger", "if %s can still lead with others, two rings lead at once and neither stops;", gone)
	line("", "make sure that those machines stay off until their data directories are removed")
	return strings.TrimRight(b.String(), "\n")
}

// confirm asks on stderr and reads the answer from stdin, until ctx ends.
func (f *factory) confirm(ctx context.Context) error {
	_, _ = fmt.Fprint(f.err, `Type "yes" to go on: `)
	var text string
	var err error
	read := make(chan struct{})
	go func() { // it may stay behind, until the process ends
		defer close(read)
		text, err = bufio.NewReader(f.in).ReadString('\n')
	}()
	select {
	case <-read:
	case <-ctx.Done():
		_, _ = fmt.Fprintln(f.err) // nobody typed the end of the line
		return fmt.Errorf("recover: %w, nothing was changed", context.Cause(ctx))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the confirmation: %w", err)
	}
	if err != nil {
		_, _ = fmt.Fprintln(f.err) // nobody typed the end of the line
	}
	if strings.TrimSpace(text) != "yes" {
		return errors.New("not confirmed, nothing was changed; --yes goes without the question")
	}
	return nil
}
