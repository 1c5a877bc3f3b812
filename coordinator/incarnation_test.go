package coordinator

import (
	"os"
	"path/filepath"
	"strconv"
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
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n.drawIncarnation(); n.incarnation < first {
		t.Fatalf("incarnation %d, want one above %d", n.incarnation, first)
	}
}
