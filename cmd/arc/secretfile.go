package main

import (
	"fmt"
	"path/filepath"

	"github.com/arc-ring/arc/internal/config"
)

// secretFileVar defines the option --secret-file. After a Resolve, secretFile says
// which file that is.
func secretFileVar(set *config.Set, path *string, f *factory) {
	config.Var(set, path, "secret-file", "FILE", defaultSecretFile(f), "file of the cluster's secrets, which nobody but its owner may read", config.Text)
}

// secretFile returns the absolute path of the secret file, whether or not it
// exists. It is "" if none is given and this user has no default.
func secretFile(set *config.Set, path string) (string, error) {
	if path == "" {
		if set.Layer("secret-file") != config.Default {
			return "", fmt.Errorf("%s is empty", set.Origin("secret-file"))
		}
		return "", nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", set.Origin("secret-file"), err)
	}
	return abs, nil
}

func defaultSecretFile(f *factory) string {
	if dir := f.ownDir("/etc/arc", "XDG_CONFIG_HOME", ".config"); dir != "" {
		return filepath.Join(dir, "secret")
	}
	return ""
}
