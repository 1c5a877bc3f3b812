package console

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestTheDirectoryForTheResults(t *testing.T) {
	dir, err := Directory(filepath.Join(t.TempDir(), "a", "b"), "x")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Directory(filepath.Join(file, "c"), "x"); err == nil {
		t.Error("a directory below a file was made")
	}
}

func TestExitCodes(t *testing.T) {
	if code := Run("x", func(context.Context) error { return nil }); code != 0 {
		t.Errorf("success ends with %d", code)
	}
	if code := Run("x", func(context.Context) error { return errors.New("an error, as it should be") }); code != 1 {
		t.Errorf("an error ends with %d", code)
	}
}

func TestInterrupted(t *testing.T) {
	cause := errors.New("cause")
	ctx, cancel := context.WithCancel(t.Context())
	if err := Interrupted(ctx, cause); !errors.Is(err, cause) {
		t.Errorf("before: %v", err)
	}
	cancel()
	if err := Interrupted(ctx, cause); err == nil || errors.Is(err, cause) {
		t.Errorf("after: %v", err)
	}
}
