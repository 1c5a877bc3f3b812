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
	n.drawIncarnation()
	first := n.incarnation
	// As if the clock had been years ahead at the last start.
	ahead := first + 1<<60
	path := filepath.Join(n.o.DataDir, incarnationName)
	if err := os.WriteFile(path, []byte(strconv.FormatUint(ahead, 10)), 0o600); err != nil {
		t.Fatal(err)
	}
	for want := ahead + 1; want < ahead+3; want++ {
		if n.drawIncarnation(); n.incarnation != want {
			t.Fatalf("incarnation %d after a clock that was set back, want %d", n.incarnation, want)
		}
	}
	// A damaged file is no reason not to start.
	for _, text := range []string{"x", "18446744073709551615", strings.Repeat("9", 1<<20)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if n.drawIncarnation(); n.incarnation < first {
			t.Fatalf("incarnation %d after a file with %.30s, want one above %d", n.incarnation, text, first)
		}
	}
}
