package main

import (
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

// addKeys defines the options that name a node's files with keys. secret is the
// default of the secret file, "" for none.
func addKeys(set *config.Set, k *trust.Files, secret string) {
	config.Var(set, &k.Secret, "secret-file", "FILE", secret, "the cluster's secret, from arc secret new; the default is used if it is there", config.Text)
	config.Var(set, &k.Cert, "tls-cert", "FILE", "", "a certificate of your own authority, PEM; its only URI name is spiffe://CLUSTER/member/NAME", config.Text)
	config.Var(set, &k.Key, "tls-key", "FILE", "", "the key of --tls-cert, PEM", config.Text)
	config.Var(set, &k.Authority, "tls-ca", "FILE", "", "your authority's certificates, PEM", config.Text)
}

// resolveKeys finishes what addKeys began: empty values are refused, and paths made
// absolute. A secret at its default place is used, unless insecure says not to: then it
// is returned as unused, else that is "".
func resolveKeys(set *config.Set, k *trust.Files, insecure bool) (unused string, _ error) {
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
	if set.Layer("secret-file") == config.Default {
		if k.Secret = present(k.Secret); insecure {
			unused, k.Secret = k.Secret, ""
		}
	}
	return unused, errors.Join(errs...)
}

// present returns the default secret file, "" if it is not there.
func present(path string) string {
	if _, err := os.Lstat(path); path == "" || errors.Is(err, os.ErrNotExist) {
		return ""
	}
	return path
}

// connect returns a client of the coordinator at an address. Over TCP it shows the
// certificate that the flags name, or one of the cluster's secret if that is here.
func (f *factory) connect(addr string) (*client.Client, error) {
	if f.certificate != "" {
		return client.New(addr, client.WithCertificate(f.certificate))
	}
	return client.New(addr, client.WithSecret(f.secret))
}
