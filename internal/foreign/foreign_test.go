package foreign

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/arc-ring/arc/internal/limits"
)

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"n1": true, "Müller-3.example": true, strings.Repeat("n", limits.Name): true,
		"": false, "a b": false, "a\tb": false, "a\x1b[31mb": false, "a\nb": false, "a\xffb": false, "a\u202eb": false, "a\u00a0b": false,
		strings.Repeat("n", limits.Name+1): false, "\uFFFD": false,
	} {
		if err := CheckName("name", name); (err == nil) != ok {
			t.Errorf("%q: %v, want ok: %v", name, err, ok)
		}
	}
}

// A ring of an earlier version may have names that a new one cannot get.
func TestCheckNewName(t *testing.T) {
	for name, says := range map[string]string{
		"n1": "", "Müller-3.example": "", "노드": "", "e\u0301": "",
		"": "is empty", "a b": "has a space",
		"a,b": "comma", ",": "comma",
		"a\u3164": `"a\u3164" has a character that is not seen`, "\uffa0": "not seen", "a\u115f": "not seen", "a\u034f": "not seen", "a\u17b4": "not seen",
		"a\ufe0f": "not seen", "a\U000e0100": `"a\U000e0100"`, "a\u180b": "not seen", "a\u2800": "not seen",
	} {
		err := CheckNewName("name", name)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", name, err, says)
		}
		if old := CheckName("name", name); strings.Contains(says, "comma") || strings.Contains(says, "not seen") {
			if old != nil {
				t.Errorf("%q of an earlier version: %v", name, old)
			}
		}
	}
}

// Every character that Unicode says to ignore is refused in a new name, and is
// made visible wherever a text is shown.
func TestNothingUnseenIsShown(t *testing.T) {
	for _, table := range []*unicode.RangeTable{unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Cf} {
		for _, r := range runesOf(table) {
			s := "a" + string(r)
			if CheckNewName("name", s) == nil {
				t.Errorf("%U is accepted in a name", r)
			}
			for what, shown := range map[string]string{"Text": Text(s), "Quote": Quote(s), "Lines": Lines(s), "Report": Report(s), "JSON": string(JSON([]byte(s)))} {
				if strings.ContainsRune(shown, r) {
					t.Errorf("%s shows %U as it is", what, r)
				}
			}
		}
	}
}

func runesOf(table *unicode.RangeTable) (runes []rune) {
	for _, x := range table.R16 {
		for r := rune(x.Lo); r <= rune(x.Hi); r += rune(x.Stride) {
			runes = append(runes, r)
		}
	}
	for _, x := range table.R32 {
		for r := rune(x.Lo); r <= rune(x.Hi); r += rune(x.Stride) {
			runes = append(runes, r)
		}
	}
	return runes
}

func TestCheckAddress(t *testing.T) {
	for a, ok := range map[string]bool{
		"10.0.0.1:7400": true, "[::1]:7400": true, "[fe80::1%eth0]:7400": true, "node-1.example:1": true, "my_host:65535": true,
		"": false, "10.0.0.1": false, ":7400": false, "host:0": false, "host:65536": false, "host:http": false,
		"unix:/run/arc.sock:1": false, "a b:1": false, "a\x1b[2J:1": false, "a\n:1": false, "[fe80::1%e\x1b]:1": false, "häuser:1": false,
		strings.Repeat("h", limits.Address-2) + ":1": true, strings.Repeat("h", limits.Address-1) + ":1": false,
	} {
		if err := CheckAddress(a); (err == nil) != ok {
			t.Errorf("%q: %v, want ok: %v", a, err, ok)
		}
	}
	if err := CheckAddresses(make([]string, limits.Addresses+1)); err == nil || strings.Count(err.Error(), "address") != 1 {
		t.Errorf("too many: %v", err)
	}
	if err := CheckAddresses(slices.Repeat([]string{"h:1"}, limits.Addresses)); err != nil {
		t.Errorf("as many as may be: %v", err)
	}
}

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"":                    "",
		"no leader: needs n2": "no leader: needs n2",
		"rpc error: code = Unavailable desc = no leader": "no leader",
		"leave: rpc error: code = Code(99) desc = a: b":  "leave: a: b",
		`n2: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp \"x\": connection refused"`: `n2: Error while dialing: dial tcp "x": connection refused`,
		`connection error: desc = "no end`:                           `connection error: desc = "no end`,
		"rpc error: code = A desc = x: rpc error: code = B desc = y": "x: y",
	} {
		if got := Plain(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestCheckText(t *testing.T) {
	for s, ok := range map[string]bool{"": true, "signal: killed": true, "größer": true, "a\nb": false, "\x1b": false, "\xff": false, strings.Repeat("x", limits.Text): true, strings.Repeat("x", limits.Text+1): false} {
		if err := CheckText("exit", s); (err == nil) != ok {
			t.Errorf("%.40q: %v, want ok: %v", s, err, ok)
		}
	}
}

func TestAMegabyteIsNotRepeated(t *testing.T) {
	long := strings.Repeat("é", 1<<19)
	for what, got := range map[string]string{
		"quote": Quote(long), "name": CheckName("name", long).Error(), "address": CheckAddress(long).Error(), "text": CheckText("text", long).Error(),
	} {
		if len(got) > 300 || !strings.Contains(got, "1048576") {
			t.Errorf("%s: %d bytes: %.400s", what, len(got), got)
		}
	}
}

func TestReport(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "two\nlines": "two\nlines", "meant:\n\tstatus": "meant:\n    status", "a\x1b[2J\nb": `a\x1b[2J` + "\nb", "\xff": "\uFFFD",
		strings.Repeat("x", 5000) + "end": strings.Repeat("x", 768) + " … " + strings.Repeat("x", 253) + "end (5003 bytes)",
		strings.Repeat("l\n", 100):        strings.Repeat("l\n", 64) + "… (37 more lines)",
	} {
		if got := Report(in); got != want && got != Text(want) {
			t.Errorf("%.40q became %q", in, got)
		}
	}
}

// Whatever comes in, what goes out steers no terminal.
func TestCutIsMarkedAfterAWholeCharacter(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{
		{"", 3, ""}, {"short", 5, "short"}, {"longer", 5, "lo…"}, {"ééé", 6, "ééé"}, {"ééééé", 8, "éé…"}, {"ééééé", 9, "ééé…"}, {"日本語日本語", 11, "日本…"},
		{"a\xffb", 2, "ab"}, {"ab\xe6\x97", 4, "ab"},
	} {
		if got := Cut(c.in, c.n); got != c.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", c.in, c.n, got, c.want)
		}
	}
	if got := Report(strings.Repeat("é", 2000)); strings.ContainsRune(got, utf8.RuneError) {
		t.Errorf("half a character is left: %q", got)
	}
	if got := Report("x" + strings.Repeat("日", 1000)); strings.ContainsRune(got, utf8.RuneError) {
		t.Errorf("half a character is left: %q", got)
	}
}

func FuzzOutput(f *testing.F) {
	f.Add("plain")
	f.Add("\x1b]0;title\x07")
	f.Add("\u202e" + strings.Repeat("\xf0\x9f\x98", 40))
	f.Fuzz(func(t *testing.T, s string) {
		for _, out := range []string{Quote(s), Text(s), strings.ReplaceAll(Lines(s), "\n", ""), strings.ReplaceAll(Report(s), "\n", "")} {
			if !utf8.ValidString(out) || strings.ContainsFunc(out, func(r rune) bool { return !unicode.IsPrint(r) || unseen(r) }) {
				t.Fatalf("%q became %q", s, out)
			}
		}
		if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError || unseen(r) }) && Text(s) != s {
			t.Fatalf("%q became %q without need", s, Text(s))
		}
	})
}

func TestJSONMeansTheSame(t *testing.T) {
	for in, want := range map[string]string{
		"{\"a\":\"ü \\n\"}\n": "{\"a\":\"ü \\n\"}\n", "\x7f": `\u007f`, "\u009b\u202e": `\u009b\u202e`, "\U000e0001": `\udb40\udc01`, "\xff": "\uFFFD",
	} {
		if got := string(JSON([]byte(in))); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
