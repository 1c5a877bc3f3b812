package coordinator

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/membership"
	"github.com/arc-ring/arc/internal/wal"
)

// A wrong directory is left as it was.
func TestARecoveryFromAWrongDirectoryLeavesNothingThere(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenRecovery(dir, []string{"n2"}, hclog.NewNullLogger()); !errors.Is(err, wal.ErrFresh) {
		t.Errorf("got %v, want %v", err, wal.ErrFresh)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left there: %v, %v", left, err)
	}
}

// A refusal is told in the member's words, and stays what it is.
func TestARefusedJoinIsToldInPlainWords(t *testing.T) {
	refused := status.Error(codes.FailedPrecondition, "this is cluster \"a\"")
	err := fmt.Errorf("join via n2:7400: %w", inWords{refused})
	if want := "join via n2:7400: this is cluster \"a\""; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if !errors.Is(err, refused) || refusal(inWords{refused}) != membership.Elsewhere {
		t.Errorf("%v is no longer the refusal", err)
	}
}

// A wrong option is found before any directory is made.
func TestAWrongInterfaceMakesNoDirectory(t *testing.T) {
	dir := t.TempDir()
	n := &node{o: Options{Interfaces: []string{"none-of-it"}, RunDir: filepath.Join(dir, "run"), DataDir: filepath.Join(dir, "data")}}
	if _, err := n.open(t.Context()); !errors.Is(err, reason.ErrUsage) {
		t.Errorf("got %v, want %v", err, reason.ErrUsage)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left there: %v, %v", left, err)
	}
}
