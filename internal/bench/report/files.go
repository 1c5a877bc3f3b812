package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// Results are what one of the benchmarks measured.
type Results interface {
	head() *Head
	// Title is that of the report.
	Title() string
	// Tables are what people read of the results; those without rows are left
	// out.
	Tables() []Table
	// Picture draws them.
	Picture() Picture
}

func (h *Head) head() *Head { return h }

// Save writes results.json into the directory. It replaces the file at once, so
// that a run that ends early leaves a whole one.
func Save(dir string, r Results) error {
	path := filepath.Join(dir, "results.json")
	content, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(content, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Write writes all files of a run into the directory: the results, the report for
// a terminal, for a page and as a picture. The one for a terminal goes to stdout
// too.
func Write(dir string, stdout io.Writer, r Results) error {
	tables := slices.DeleteFunc(append(r.Tables(), r.head().skipped()), func(t Table) bool { return len(t.Rows) == 0 })
	page, plain := markdown(r.Title(), r.head().heading(), tables), text(r.Title(), r.head().heading(), tables)
	_, err := io.WriteString(stdout, plain)
	err = errors.Join(err, Save(dir, r),
		os.WriteFile(filepath.Join(dir, "report.txt"), []byte(plain), 0o644),
		os.WriteFile(filepath.Join(dir, "report.md"), []byte(page), 0o644),
		r.Picture().save(filepath.Join(dir, "report.svg")))
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
