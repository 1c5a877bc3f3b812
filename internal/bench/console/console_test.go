package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestADirectoryOfResults(t *testing.T) {
	dir, err := Directory(filepath.Join(t.TempDir(), "a", "b"), "x")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 { // the second replaces the first
		if err := Save(dir, map[string]int{"run": i}); err != nil {
			t.Fatal(err)
		}
	}
	var also strings.Builder
	render := func(w io.Writer) error { _, err := fmt.Fprint(w, "words"); return err }
	if err := errors.Join(Write(dir, "report.md", &also, render), Write(dir, "report.txt", nil, render)); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("in the directory are %v (%v), want three files", entries, err)
	}
	for name, want := range map[string]string{"results.json": "{\n \"run\": 1\n}\n", "report.md": "words", "report.txt": "words"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
			t.Errorf("%s holds %q (%v), want %q", name, got, err, want)
		}
	}
	if also.String() != "words" {
		t.Errorf("also written was %q", also.String())
	}
	cause := errors.New("cause")
	if err := Write(dir, "bad", nil, func(io.Writer) error { return cause }); !errors.Is(err, cause) {
		t.Errorf("a report that cannot be made: %v", err)
	}
	if _, err := Directory(filepath.Join(dir, "report.md", "c"), "x"); err == nil {
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
