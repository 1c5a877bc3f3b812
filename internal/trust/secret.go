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
	"syscall"
	"time"

	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/plainfile"
)

// secretSize is a secret's size in bytes.
const secretSize = 32

// ErrSecret: a secret file cannot be used.
var ErrSecret = errors.New("secret file")

// A Secret is what a cluster shares. Its String does not show it.
type Secret struct {
	key [secretSize]byte
	// made is when it was drawn, to the second; zero if that is not known.
	made time.Time
}

// NewSecret draws a secret from the system's random source. When it was made is
// not known until Dated says so.
func NewSecret() Secret {
	var s Secret
	_, _ = rand.Read(s.key[:]) // never fails
	return s
}

// Dated returns the same secret, made at the time.
func (s Secret) Dated(t time.Time) Secret {
	s.made = t.UTC().Truncate(time.Second)
	return s
}

// Made returns when the secret was made, the zero time if that is not known.
func (s Secret) Made() time.Time { return s.made }

// String returns the secret's ID, so that no log shows the secret itself.
func (s Secret) String() string { return s.ID() }

// GoString is String for %#v.
func (s Secret) GoString() string { return s.ID() }

// ID returns 8 hex digits by which people tell secrets apart. It tells nothing of
// the secret.
func (s Secret) ID() string { return hex.EncodeToString(s.derive("id", 4)) }

// IDs are those of the secrets, in their order.
func IDs(all []Secret) []string {
	ids := make([]string, len(all))
	for i, s := range all {
		ids[i] = s.ID()
	}
	return ids
}

// Hex returns the secret itself, as a line of the file has it.
func (s Secret) Hex() string { return hex.EncodeToString(s.key[:]) }

// derive returns n bytes for one use. They do not tell those for another use.
func (s Secret) derive(use string, n int) []byte {
	key, err := hkdf.Key(sha256.New, s.key[:], nil, "arc v1 "+use, n)
	if err != nil {
		panic(fmt.Sprintf("HKDF of %d bytes: %v", n, err)) // n is far below 255 * 32
	}
	return key
}

// ParseSecrets reads a secret file's text: a secret a line, as 64 hex digits, and
// after a space the time at which it was made, which may be left out. Empty lines
// and lines that begin with # do not count.
func ParseSecrets(text string) ([]Secret, error) {
	var all []Secret
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		s, err := parseSecret(line)
		if err != nil {
			return nil, fmt.Errorf("line %d %w", i+1, err)
		}
		if slices.ContainsFunc(all, s.same) {
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

// parseSecret reads a line. Its errors do not show it: it may be a secret with a
// slip of the pen.
func parseSecret(line string) (Secret, error) {
	var s Secret
	digits, made, dated := strings.Cut(line, " ")
	if n, err := hex.Decode(s.key[:], []byte(digits[:min(len(digits), 2*secretSize)])); err != nil || n != secretSize || len(digits) != 2*secretSize {
		return Secret{}, fmt.Errorf("is not a secret of %d hex digits: it has %d characters; `arc secret new` makes one", 2*secretSize, len(digits))
	}
	if !dated {
		return s, nil
	}
	t, err := time.Parse(time.RFC3339, strings.TrimSpace(made))
	if err != nil {
		return Secret{}, errors.New("has something else than a time such as 2006-01-02T15:04:05Z after the secret")
	}
	return s.Dated(t), nil
}

// same reports whether two are one secret, whatever is known of its age.
func (s Secret) same(other Secret) bool { return s.key == other.key }

// ReadSecrets reads a secret file. Others than its owner must not be able to read
// or write it. All errors wrap ErrSecret and name the file.
func ReadSecrets(path string) ([]Secret, error) {
	text, err := readSecretFile(path)
	if err != nil {
		return nil, err
	}
	return parseSecretFile(path, text)
}

func readSecretFile(path string) ([]byte, error) {
	text, err := plainfile.ReadFile(path, limits.SecretFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w; copy it from another machine of the cluster, or make the first one with `arc secret new --secret-file %s`", ErrSecret, err, path)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSecret, err)
	}
	return text, checkMode(ErrSecret, path, false)
}

// checkMode refuses a file with a key that others than its owner can use. group: root may
// let a group read it, as Debian does with ssl-cert and PostgreSQL accepts.
func checkMode(what error, path string, group bool) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("%w: %w", what, err)
	}
	mode, others := info.Mode().Perm(), os.FileMode(0o077)
	if owner, ok := info.Sys().(*syscall.Stat_t); group && ok && owner.Uid == 0 {
		others = 0o037
	}
	if mode&others != 0 {
		return fmt.Errorf("%w %s has mode %04o, so others can use it; make that 0600: chmod 600 %s", what, path, mode, path)
	}
	return nil
}

func parseSecretFile(path string, text []byte) ([]Secret, error) {
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
		b.WriteString(s.Hex())
		if !s.made.IsZero() {
			b.WriteString(" " + s.made.Format(time.RFC3339))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
