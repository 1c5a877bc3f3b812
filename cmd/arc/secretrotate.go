package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/plainfile"
	"github.com/arc-ring/arc/internal/trust"
)

func newSecretRotateCmd(f *factory, o *secretOptions) *cobra.Command {
	return grouping(&cobra.Command{
		Use:   "rotate",
		Short: "Replace the cluster's secret in a running ring, in three steps",
		Long: fmt.Sprintf(`Replaces the secret while the ring runs. The leader stays, and no claim is lost.
Do each of the three steps on one machine, and copy its file to all others before
the next step. A coordinator reads the file every %v; "arc status -o json" lists the
secrets that it has.

  1. add   makes a second secret. Members accept it, and use the old one still.
  2. use   puts the new secret first: members use it, and accept the old one still.
  3. drop  drops the old secret. It opens nothing any more.

Clients need new certificates between the steps 1 and 2, when all machines have
the second secret: "arc secret issue" signs with the new one. Such a certificate is
good from then on. One of before would not know members that use the new secret,
and members would refuse it once the old one is dropped.

A step out of turn is refused. To give the new secret up after step 1, delete its
line from the file on all machines.`, durations.TrustLook),
	}, newStepCmd(f, o, trust.Add, "Make a second secret, which members accept"),
		newStepCmd(f, o, trust.Use, "Put the new secret first, so that members use it"),
		newStepCmd(f, o, trust.Drop, "Drop the old secret"))
}

func newStepCmd(f *factory, o *secretOptions, step trust.Step, short string) *cobra.Command {
	return &cobra.Command{
		Use:     string(step),
		Short:   short,
		Long:    short + `. "arc help secret rotate" explains all steps.`,
		Example: "  arc secret rotate " + string(step),
		RunE: func(*cobra.Command, []string) error {
			path, err := o.file(f)
			if err != nil {
				return err
			}
			all, err := f.rotate(path, step)
			if err != nil {
				return fmt.Errorf("%s: %w", step, err)
			}
			if err := f.printSecrets(path, all); err != nil {
				return err
			}
			f.note("Copy the file to all other machines of the cluster, with its owner and mode:")
			f.note("  scp -p %s HOST:%s", path, path)
			f.note("Each coordinator reads it within %v. %s", durations.TrustLook, afterStep(step, all))
			return nil
		},
	}
}

// rotate makes one step in the file. Nobody else writes it meanwhile.
func (f *factory) rotate(path string, step trust.Step) ([]trust.Secret, error) {
	if _, err := trust.ReadSecrets(path); err != nil {
		return nil, err // before anything is made beside it
	}
	draft, err := plainfile.NewDraft(path)
	if err != nil {
		return nil, err
	}
	defer draft.Close()
	all, err := trust.ReadSecrets(path)
	if err != nil {
		return nil, err
	}
	if all, err = trust.Rotate(all, step, f.now()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, draft.Replace([]byte(trust.FormatSecrets(all)))
}

// afterStep says what to do when all machines have the file.
func afterStep(step trust.Step, all []trust.Secret) string {
	switch step {
	case trust.Add:
		return "When all have it, issue the certificates\nof clients again with `arc secret issue`, and go on with `arc secret rotate use`."
	case trust.Use:
		return "When all have it, go on with\n`arc secret rotate drop`. Clients need certificates that are made with secret\n" + all[0].ID() + " from now on."
	default:
		return "The rotation is done then."
	}
}
