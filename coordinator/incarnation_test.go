package coordinator

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

func TestIncarnationsNeverGoBack(t *testing.T) {
	n := &node{o: Options{DataDir: t.TempDir()}, log: hclog.NewNullLogger()}
	if err := n.drawIncarnation(); err != nil {
		t.Fatal(err)
	}
	first := n.incarnation
	// As if the clock had been years ahead at the last start.
	ahead := first + 1<<60
	path := filepath.Join(n.o.DataDir, incarnationName)
	if err := os.WriteFile(path, []byte(strconv.FormatUint(ahead, 10)), 0o600); err != nil {
		t.Fatal(err)
	}
	for want := ahead + 1; want < ahead+3; want++ {
		if err := n.drawIncarnation(); err != nil || n.incarnation != want {
			t.Fatalf("incarnation %d after a clock that was set back, error %v, want %d", n.incarnation, err, want)
		}
	}
	// A damaged file is no reason not to start.
	for _, text := range []string{"x", "18446744073709551615", strings.Repeat("9", 1<<20)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := n.drawIncarnation(); err != nil || n.incarnation < first {
			t.Fatalf("incarnation %d after a file with %.30s, error %v, want one above %d", n.incarnation, text, err, first)
		}
	}
}

// The ring may record a process that its directory does not know. The next start
// would then look like that of an older copy.
func TestAnIncarnationThatCannotBeWrittenEndsTheStart(t *testing.T) {
	n := &node{o: Options{DataDir: t.TempDir()}, log: hclog.NewNullLogger()}
	path := filepath.Join(n.o.DataDir, incarnationName)
	// A directory of that name can be neither read nor replaced.
	if err := os.MkdirAll(filepath.Join(path, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := n.drawIncarnation(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one with %s", err, path)
	}
}
