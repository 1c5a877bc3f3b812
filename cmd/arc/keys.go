package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/config"
	"github.com/arc-ring/arc/internal/trust"
)

// keyFlags are the options that name files with keys.
var keyFlags = []string{"secret-file", "tls-cert", "tls-key", "tls-ca"}

// addKeys defines the options that name a node's files with keys.
func addKeys(set *config.Set, k *trust.Files) {
	config.Var(set, &k.Secret, "secret-file", "FILE", "", "the cluster's secret, from arc secret new; "+secretPlaces, config.Text)
	config.Var(set, &k.Cert, "tls-cert", "FILE", "", "a certificate of your own authority, PEM; its only URI name is spiffe://CLUSTER/member/NAME", config.Text)
	config.Var(set, &k.Key, "tls-key", "FILE", "", "the key of --tls-cert, PEM", config.Text)
	config.Var(set, &k.Authority, "tls-ca", "FILE", "", "your authority's certificates, PEM", config.Text)
}

// secretPlaces says where a secret is looked for that no option names.
const secretPlaces = "by default /etc/arc/secret for root, else arc/secret in the user's configuration directory, if it is there"

// resolveKeys finishes what addKeys began: empty values are refused, and paths made
// absolute. A secret at its default place is used, unless insecure says not to.
func resolveKeys(f *factory, set *config.Set, k *trust.Files, insecure bool) error {
	var errs []error
	for i, path := range []*string{&k.Secret, &k.Cert, &k.Key, &k.Authority} {
		key := keyFlags[i]
		switch {
		case *path == "" && set.Layer(key) != config.Default:
			errs = append(errs, fmt.Errorf("%s is empty", set.Origin(key)))
		case *path != "":
			abs, err := filepath.Abs(*path)
			if err != nil {
				err = fmt.Errorf("%s: %w", set.Origin(key), err)
			}
			*path, errs = abs, append(errs, err)
		}
	}
	if k.Secret == "" && !insecure {
		k.Secret = f.presentSecret()
	}
	return errors.Join(errs...)
}

// presentSecret is the default secret file, "" if there is none.
func (f *factory) presentSecret() string {
	path := f.defaultSecret()
	if _, err := os.Lstat(path); path == "" || errors.Is(err, os.ErrNotExist) {
		return ""
	}
	return path
}

// defaultSecret is where this user's secret file is, "" if that is not known.
func (f *factory) defaultSecret() string {
	if f.uid == 0 {
		return "/etc/arc/secret"
	}
	if dir, ok := f.env("XDG_CONFIG_HOME"); ok && filepath.IsAbs(dir) {
		return filepath.Join(dir, "arc", "secret")
	}
	if home, ok := f.env("HOME"); ok && filepath.IsAbs(home) {
		return filepath.Join(home, ".config", "arc", "secret")
	}
	return ""
}

// connect returns a client of the coordinator at an address. Over TCP it shows the
// certificate that the flags name, or one of the cluster's secret if that is here.
func (f *factory) connect(addr string) (*client.Client, error) {
	if f.certificate != "" {
		return client.New(addr, client.WithCertificate(f.certificate))
	}
	return client.New(addr, client.WithSecret(cmp.Or(f.secret, f.presentSecret())))
}
