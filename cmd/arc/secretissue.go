package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/internal/config"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/plainfile"
	"github.com/arc-ring/arc/internal/trust"
	"github.com/arc-ring/arc/ring"
)

// issueFlags are the options of `arc secret issue`.
type issueFlags struct {
	set                            *config.Set
	cluster, role, name, last, out string
}

func newSecretIssueCmd(f *factory, o *secretOptions) *cobra.Command {
	var i issueFlags
	cmd := &cobra.Command{
		Use:   "issue --role ROLE",
		Short: "Make a certificate with which a client may ask over the network",
		Long: `Makes a certificate for a client on another machine, with its key, in one PEM file
that nobody but its owner may read. Copy it there over a safe way, with its mode: arc
refuses one that others can read.

The role says what the client may do: read may look, operate may look and change
the ring, session may look and is for programs. The name is for the members' logs,
which say who asked for a change; without --name it is the role.

A certificate ends after the time of --for. It cannot be taken back before, but
"arc secret rotate" shuts out all certificates of the old secret together.`,
		Example: `  arc secret issue --role read --name grafana --out grafana.pem
  arc secret issue --role operate --name alice --for 12h | ssh desk 'umask 077; cat > arc.pem'`,
		RunE: func(*cobra.Command, []string) error {
			who, lasts, err := i.check(f)
			if err != nil {
				return usage(err)
			}
			_, all, err := o.read(f)
			if err != nil {
				return err
			}
			return f.issue(all, who, f.now().Add(lasts), i.out)
		},
	}
	i.set = config.NewSet(cmd.Flags())
	config.Var(i.set, &i.cluster, "cluster", "NAME", "arc", "the ring's name, as its coordinators have it", config.Name)
	cmd.Flags().StringVar(&i.role, "role", "", "`ROLE` of the client: "+strings.Join(clientRoles(), ", "))
	cmd.Flags().StringVar(&i.name, "name", "", "`NAME` of the client, without space or comma")
	cmd.Flags().StringVar(&i.last, "for", "365d", "`DURATION` after which the certificate ends")
	cmd.Flags().StringVar(&i.out, "out", "-", "`FILE` to make, which must not exist; - is stdout")
	return cmd
}

func clientRoles() []string {
	return ring.Each(trust.ClientRoles, func(r trust.Role) string { return string(r) })
}

// check returns who the certificate is for and how long it lasts, or all that is
// wrong with the options.
func (i *issueFlags) check(f *factory) (trust.Identity, time.Duration, error) {
	err := i.set.Resolve(f.env, "")
	if i.role == "" {
		err = errors.Join(err, fmt.Errorf("--role is missing: one of %s", strings.Join(clientRoles(), ", ")))
	} else if _, wrong := config.OneOf(clientRoles()...)(i.role); wrong != nil {
		err = errors.Join(err, fmt.Errorf("--role: %w", wrong))
	}
	if i.name != "" {
		err = errors.Join(err, foreign.CheckNewName("--name", i.name))
	}
	lasts, wrong := days(i.last)
	if wrong != nil {
		err = errors.Join(err, fmt.Errorf("--for: %w", wrong))
	}
	return trust.Identity{Cluster: i.cluster, Role: trust.Role(i.role), Name: cmp.Or(i.name, i.role)}, lasts, err
}

// days reads a duration that may be a number of days, as 365d.
func days(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	d, err := time.ParseDuration(text)
	if number, ok := strings.CutSuffix(text, "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(number, 10, 16) // so few days fit into a duration
		d = time.Duration(n) * day
	}
	if err != nil || d < time.Second || d > durations.ClientLongest {
		return 0, fmt.Errorf("%s is not a duration from 1s to %dd, such as 12h or 365d", foreign.Quote(text), durations.ClientLongest/day)
	}
	return d, nil
}

// issuedCertificate is the JSON of `arc secret issue`.
type issuedCertificate struct {
	Version int       `json:"version"`
	ID      string    `json:"id"`
	Until   time.Time `json:"until"`
	// Secret is the ID of the one that signed.
	Secret string `json:"secret"`
	// Path is where the certificate is; PEM is the certificate itself if it is in no
	// file.
	Path string `json:"path"`
	PEM  string `json:"pem"`
}

// issue makes a certificate in the file out, or prints it.
func (f *factory) issue(all []trust.Secret, who trust.Identity, until time.Time, out string) error {
	until = until.UTC().Truncate(time.Second)
	text, err := trust.Issue(all, who, until)
	if err != nil {
		return err
	}
	signer := trust.Signer(all)
	issued := issuedCertificate{Version: 1, ID: who.String(), Until: until, Secret: signer.ID(), PEM: string(text)}
	if out != "-" {
		if err := makeCertificateFile(out, text); err != nil {
			return err
		}
		issued.Path, issued.PEM = out, ""
	}
	if err := f.print(issued, func(w io.Writer) { _, _ = io.WriteString(w, issued.PEM) }); err != nil { // w is memory
		return err
	}
	f.note("certificate of %s, made with secret %s, holds until %s", who, signer, until.Format(time.RFC3339))
	if signer != all[0] {
		f.note("note: secret %s is not used yet; machines that do not have it in their file refuse this certificate", signer)
	}
	return nil
}

func makeCertificateFile(path string, text []byte) error {
	draft, err := plainfile.NewDraft(path)
	if err == nil {
		defer draft.Close()
		err = draft.Create(text, 0o600)
	}
	switch {
	case errors.Is(err, os.ErrExist):
		return fmt.Errorf("--out %s exists and is not overwritten; move it away, or give another name", foreign.Quote(path))
	case err != nil:
		return fmt.Errorf("make the certificate's file: %w", err)
	}
	return nil
}
