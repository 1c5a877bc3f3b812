package trust

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/plainfile"
)

// secretSize is a secret's size in bytes.
const secretSize = 32

// ErrSecret: a secret file cannot be used.
var ErrSecret = errors.New("secret file")

// A Secret is what a cluster shares. Its String does not show it.
type Secret [secretSize]byte

// NewSecret draws a secret from the system's random source.
func NewSecret() Secret {
	var s Secret
	_, _ = rand.Read(s[:]) // never fails
	return s
}

// String returns the secret's ID, so that no log shows the secret itself.
func (s Secret) String() string { return s.ID() }

// GoString is String for %#v.
func (s Secret) GoString() string { return s.ID() }

// ID returns 8 hex digits by which people tell secrets apart. It tells nothing of
// the secret.
func (s Secret) ID() string { return hex.EncodeToString(s.derive("id", 4)) }

// Hex returns the secret as a line of the file has it.
func (s Secret) Hex() string { return hex.EncodeToString(s[:]) }

// derive returns n bytes for one use. They do not tell those for another use.
func (s Secret) derive(use string, n int) []byte {
	key, err := hkdf.Key(sha256.New, s[:], nil, "arc v1 "+use, n)
	if err != nil {
		panic(fmt.Sprintf("HKDF of %d bytes: %v", n, err)) // n is far below 255 * 32
	}
	return key
}

// ParseSecrets reads a secret file's text: a secret a line, as 64 hex digits.
// Empty lines and lines that begin with # do not count.
func ParseSecrets(text string) ([]Secret, error) {
	var all []Secret
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		var s Secret
		// The line is not shown: it may be a secret with a slip of the pen.
		if n, err := hex.Decode(s[:], []byte(line[:min(len(line), 2*secretSize)])); err != nil || n != secretSize || len(line) != 2*secretSize {
			return nil, fmt.Errorf("line %d is not a secret of %d hex digits: it has %d characters; `arc secret new` makes one", i+1, 2*secretSize, len(line))
		}
		if slices.Contains(all, s) {
			return nil, fmt.Errorf("line %d has secret %s a second time", i+1, s.ID())
		}
		all = append(all, s)
	}
	switch {
	case len(all) == 0:
		return nil, errors.New("it holds no secret; `arc secret new` makes one")
	case len(all) > limits.Secrets:
		return nil, fmt.Errorf("it holds %d secrets, at most %d are taken; `arc secret rotate drop` drops old ones", len(all), limits.Secrets)
	}
	return all, nil
}

// ReadSecrets reads a secret file. Others than its owner must not be able to read
// or write it. All errors wrap ErrSecret and name the file.
func ReadSecrets(path string) ([]Secret, error) {
	text, err := plainfile.ReadFile(path, limits.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSecret, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSecret, err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%w %s has mode %04o, so others can use it; make that 0600: chmod 600 %s", ErrSecret, path, mode, path)
	}
	all, err := ParseSecrets(string(text))
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrSecret, path, err)
	}
	return all, nil
}

// FormatSecrets returns the text of a secret file.
func FormatSecrets(all []Secret) string {
	var b strings.Builder
	b.WriteString("# Secrets of an ARC cluster. The first one is used, all are accepted.\n")
	for _, s := range all {
		b.WriteString(s.Hex() + "\n")
	}
	return b.String()
}

// Missing reports whether the error says that a file is not there.
func Missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
