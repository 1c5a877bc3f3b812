package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	looked   = `{"config":{"go_version":"go1.2.3","scan_level":"symbol"}}`
	summary  = `{"osv":{"id":"GO-2026-0001","summary":"a hole"}}`
	imported = `{"finding":{"osv":"GO-2026-0001","fixed_version":"v1.2.4","trace":[{"module":"stdlib","version":"v1.2.3","package":"net/http"}]}}`
	called   = `{"finding":{"osv":"GO-2026-0001","fixed_version":"v1.2.4","trace":[{"module":"stdlib","version":"v1.2.3","package":"net/http","function":"Get"}]}}`
	unmended = `{"finding":{"osv":"GO-2026-0001","trace":[{"module":"m","version":"v1.2.3","package":"m/p","function":"Get"}]}}`
	row      = "| hole | reason |\n|---|---|\n| GO-2026-0001 | nobody can reach it |\n"
)

func TestHoles(t *testing.T) {
	for name, c := range map[string]struct {
		page, said  string
		want, error string
	}{
		"none":                  {"", looked, "go1.2.3: 0 that we call", ""},
		"not called":            {"", looked + summary + imported, "0 that we call, of which 0 are listed; 1 only", ""},
		"called":                {"", looked + summary + imported + called, "1 that we call", "GO-2026-0001 (a hole) in net/http, stdlib v1.2.3, is called; v1.2.4 mends it"},
		"called, then imported": {"", looked + called + imported, "1 that we call", "is called; v1.2.4 mends it"},
		"called, not mended":    {"", looked + unmended, "1 that we call", "no release mends it: list it in "},
		"listed":                {row, looked + unmended, "1 that we call, of which 1 are listed", ""},
		"listed and gone":       {row, looked + imported, "0 that we call", "no longer found: remove it there"},
		"listed twice":          {row + row[strings.LastIndex(row, "| GO"):], looked + unmended, "", "lists GO-2026-0001 twice"},
		"nothing was looked at": {"", "", "", "said nothing"},
		"broken off":            {"", looked + called[:20], "", "read what govulncheck says"},
		"modules alone":         {"", strings.Replace(looked, "symbol", "module", 1), "", `level "module", want symbol`},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := run([]string{"holes", write(t, "page", c.page)}, strings.NewReader(c.said), &out)
			if !strings.Contains(out.String(), c.want) {
				t.Errorf("it says %q, want %q", out.String(), c.want)
			}
			if c.error == "" && err != nil || c.error != "" && (err == nil || !strings.Contains(err.Error(), c.error)) {
				t.Errorf("error %v, want %q", err, c.error)
			}
		})
	}
}

func TestLicenceOf(t *testing.T) {
	mit := "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the \"Software\"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:\n\nThe above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.\n\nTHE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.\n"
	for name, c := range map[string]struct{ file, text, want, error string }{
		"known":     {"LICENSE", "Copyright me\n\n" + mit, "MIT", ""},
		"markdown":  {"Licence.md", mit, "MIT", ""},
		"unknown":   {"LICENSE.txt", strings.Repeat("You owe me a cup of tea. ", 50), "", "no text of a known licence"},
		"with more": {"COPYING", mit + strings.Repeat("You owe me a cup of tea. ", 50), "", "no text of a known licence"},
		"none":      {"README", mit, "", "has no licence file"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := licenceOf(filepath.Dir(write(t, c.file, c.text)))
			if got != c.want || (err == nil) != (c.error == "") || err != nil && !strings.Contains(err.Error(), c.error) {
				t.Errorf("%q, %v; want %q, %q", got, err, c.want, c.error)
			}
		})
	}
}

// The licences of our own modules' dependencies are judged by scripts/supply; here
// the page has one row too little, one too many and a wrong one.
func TestLicencesAreThoseOfThePage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := licences("../../../docs/dependencies.md", []string{"../../.."}, &out); err == nil || !strings.Contains(err.Error(), "lists github.com/ajstarks/svgo, which no build has") {
		t.Errorf("without the benchmark nothing needs svgo: %v", err)
	}
	changed := strings.NewReplacer("| `golang.org/x/text` |", "| `golang.org/x/other` |", "gRPC, which carry what an operator can do | Apache-2.0", "gRPC | MIT").Replace(string(page))
	err = licences(write(t, "page", changed), []string{"../../.."}, &out)
	for _, want := range []string{
		"golang.org/x/text (BSD-3-Clause) is in the program and has no row in ",
		"google.golang.org/genproto/googleapis/rpc: its licence is Apache-2.0, ",
		"lists golang.org/x/other, which no build has",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

// This test's own program has dependencies too.
func TestBOM(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	page := "| `github.com/google/licensecheck` | r | BSD-3-Clause |\n"
	if err := run([]string{"bom", write(t, "page", page), self}, nil, &out); err == nil || !strings.Contains(err.Error(), "github.com/CycloneDX/cyclonedx-go is in ") {
		t.Errorf("a module without a licence: %v", err)
	}
	out.Reset()
	page += "| `github.com/CycloneDX/cyclonedx-go` | r | Apache-2.0 |\n"
	if err := run([]string{"bom", write(t, "page", page), self}, nil, &out); err != nil {
		t.Fatal(err)
	}
	var b cdx.BOM
	if err := cdx.NewBOMDecoder(&out, cdx.BOMFileFormatJSON).Decode(&b); err != nil {
		t.Fatal(err)
	}
	if b.SpecVersion < cdx.SpecVersion1_6 || b.SerialNumber != "" || b.Metadata.Timestamp != "" {
		t.Errorf("version %v, number %q, time %q", b.SpecVersion, b.SerialNumber, b.Metadata.Timestamp)
	}
	names := map[string]cdx.Component{}
	for _, c := range *b.Components {
		names[c.Name] = c
	}
	c := names["github.com/google/licensecheck"]
	if len(names) != 3 || names["std"].Version == "" || !strings.HasPrefix(c.PackageURL, "pkg:golang/github.com/google/licensecheck@v") ||
		(*c.Licenses)[0].License.ID != "BSD-3-Clause" || len((*c.Hashes)[0].Value) != 64 {
		got, _ := json.Marshal(b)
		t.Errorf("it lists %s", got)
	}
}
