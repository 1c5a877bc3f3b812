package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/arc-ring/arc/internal/config"
	"github.com/arc-ring/arc/internal/plainfile"
	"github.com/arc-ring/arc/internal/trust"
)

// secretOptions are those of all `arc secret` commands.
type secretOptions struct {
	set  *config.Set
	path string
}

func newSecretCmd(f *factory) *cobra.Command {
	o := &secretOptions{}
	cmd := grouping(&cobra.Command{
		Use:   "secret",
		Short: "Make, show and replace the cluster's secret; issue certificates for clients",
		Long: `The machines of a cluster share one secret. Each coordinator makes a certificate
of it, and knows the others by theirs. The secret is in a file, the same on every
machine, which nobody but its owner may read. Everybody who has it can act as any
member.

new makes the secret, show lists its ID, issue makes a certificate for a client,
rotate replaces the secret in a running ring. No coordinator is asked.`,
	}, newSecretNewCmd(f, o), newSecretShowCmd(f, o), newSecretIssueCmd(f, o), newSecretRotateCmd(f, o))
	o.set = config.NewSet(cmd.PersistentFlags())
	secretFileVar(o.set, &o.path, f)
	return cmd
}

// file is the secret file's path.
func (o *secretOptions) file(f *factory) (string, error) {
	if err := o.set.Resolve(f.env, ""); err != nil {
		return "", usage(err)
	}
	path, err := secretFile(o.set, o.path)
	if err == nil && path == "" {
		err = errors.New("--secret-file is missing: this user has no home directory to look in")
	}
	return path, usage(err)
}

// read returns the path of the secret file, and its secrets.
func (o *secretOptions) read(f *factory) (path string, all []trust.Secret, err error) {
	if path, err = o.file(f); err == nil {
		all, err = trust.ReadSecrets(path)
	}
	return path, all, err
}

func newSecretNewCmd(f *factory, o *secretOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "new",
		Short: "Make the cluster's secret, once for all its machines",
		Long: `Makes a secret of 256 bits in a file that nobody but you may read, and prints the
path and the secret's ID. Do it on one machine and copy the file to the others. A
file that is there is never overwritten.`,
		Example: `  arc secret new
  arc secret new --secret-file ./secret`,
		RunE: func(*cobra.Command, []string) error {
			path, err := o.file(f)
			if err != nil {
				return err
			}
			all := []trust.Secret{trust.NewSecret().Dated(f.now())}
			if err := makeSecretFile(path, all); err != nil {
				return err
			}
			shown := showSecrets(path, all)
			if err := f.print(shown, func(w io.Writer) { line(w, "%s has secret %s", path, all[0]) }); err != nil {
				return err
			}
			f.note("Everybody who has this file can act as any member. Copy it to all other machines")
			f.note("of the cluster before their coordinators start, and keep its mode, 0600:")
			f.note("  ssh HOST mkdir -p -m 700 %s", filepath.Dir(path))
			f.note("  scp -p %s HOST:%s", path, path)
			return nil
		},
	}
}

// makeSecretFile writes a secret file where nothing is. Its directory is made if it
// is missing.
func makeSecretFile(path string, all []trust.Secret) error {
	if _, err := os.Lstat(path); err == nil {
		return secretFileExists(path) // it may be where this user cannot write
	}
	if err := makeSecretDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("make the directory of the secret file: %w", err)
	}
	draft, err := plainfile.NewDraft(path)
	if err != nil {
		return fmt.Errorf("make the secret file: %w", err)
	}
	defer draft.Close()
	err = draft.Create([]byte(trust.FormatSecrets(all)), 0o600)
	switch {
	case errors.Is(err, os.ErrExist):
		return secretFileExists(path)
	case err != nil:
		return fmt.Errorf("make the secret file: %w", err)
	}
	return nil
}

// makeSecretDir makes a directory for this user alone, whatever the umask is. One
// that is there stays as it is.
func makeSecretDir(dir string) error {
	_, err := os.Stat(dir)
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Chmod(dir, 0o700)
}

// secretFileExists says what to do with a file that is in the way of a new one.
func secretFileExists(path string) error {
	all, err := trust.ReadSecrets(path)
	if err != nil {
		return fmt.Errorf("%s exists and is not overwritten: %w; or give another --secret-file", path, err)
	}
	return fmt.Errorf("%s exists and is not overwritten: it has secret %s; copy it to the cluster's other machines, replace the secret with `arc secret rotate`, or move the file away to begin another cluster",
		path, strings.Join(trust.IDs(all), ", "))
}

func newSecretShowCmd(f *factory, o *secretOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "List the IDs of the secrets in this machine's file",
		Long: `Lists the secrets of the file by their IDs, which tell nothing of the secrets
themselves. Members use the first one, and accept all. There is more than one only
while a secret is replaced.`,
		Example: `  arc secret show
  arc secret show -o json`,
		RunE: func(*cobra.Command, []string) error {
			path, all, err := o.read(f)
			if err != nil {
				return err
			}
			return f.printSecrets(path, all)
		},
	}
}

// shownSecrets is the JSON of `arc secret new`, show and rotate.
type shownSecrets struct {
	Version int           `json:"version"`
	Path    string        `json:"path"`
	Secrets []shownSecret `json:"secrets"`
	// Next is the step of a rotation that the file is ready for, "" if it does not
	// show it.
	Next trust.Step `json:"next"`
}

type shownSecret struct {
	ID string `json:"id"`
	// Made is null if it is not known.
	Made *time.Time `json:"made"`
	Used bool       `json:"used"`
}

func showSecrets(path string, all []trust.Secret) shownSecrets {
	shown := shownSecrets{Version: 1, Path: path}
	shown.Next, _ = trust.Next(all) // the error is for who wants a step
	for i, s := range all {
		one := shownSecret{ID: s.ID(), Used: i == 0}
		if made := s.Made(); !made.IsZero() {
			one.Made = &made
		}
		shown.Secrets = append(shown.Secrets, one)
	}
	return shown
}

func (f *factory) printSecrets(path string, all []trust.Secret) error {
	shown := showSecrets(path, all)
	return f.print(shown, func(w io.Writer) {
		var lines [][]string
		for _, s := range shown.Secrets {
			var made *timestamppb.Timestamp
			if s.Made != nil {
				made = timestamppb.New(*s.Made)
			}
			state := "accepted"
			if s.Used {
				state = "used"
			}
			lines = append(lines, []string{s.ID, f.when(made), state})
		}
		rows(w, "ID MADE STATE", lines)
	})
}
