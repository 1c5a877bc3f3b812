package client

import (
	"os"
	"strings"
	"testing"
)

// docs/client.md shows the examples as they are, which compile and run, and names
// every kind of error.
func TestThePageIsTrue(t *testing.T) {
	page, err := os.ReadFile("../docs/client.md")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := os.ReadFile("example_lead_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "```go\n")[1:]
	for _, b := range blocks {
		code, _, _ := strings.Cut(b, "```")
		if !strings.HasPrefix(code, "import ") && !strings.Contains(string(examples), code) {
			t.Errorf("no example has this code:\n%s", code)
		}
	}
	if len(blocks) < 3 {
		t.Errorf("%d blocks of code", len(blocks))
	}
	for name := range sentinels {
		if !strings.Contains(string(page), "| `"+name+"` |") {
			t.Errorf("%s has no row", name)
		}
	}
	source, err := os.ReadFile("errors.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), "\n\tErr"); n != len(sentinels) {
		t.Errorf("errors.go has %d sentinels, the tests know %d", n, len(sentinels))
	}
}
