package foreign

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/arc-ring/arc/internal/limits"
)

const (
	// quoted is how much of a text Quote repeats, in bytes.
	quoted = 64
	// reportLine and reportLines bound what Report shows: bytes of a line, and
	// lines.
	reportLine  = 1024
	reportLines = 64
)

// CheckName is the rule for the names of nodes and clusters, as they are read from
// other machines, disks and command lines. what names the value in the error. A name
// that is given for the first time has to keep to CheckNewName.
func CheckName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%s is empty", what)
	case len(name) > limits.Name:
		return fmt.Errorf("%s %s has %d bytes, at most %d", what, Quote(name), len(name), limits.Name)
	case !utf8.ValidString(name):
		return fmt.Errorf("%s %s is not UTF-8", what, Quote(name))
	case !printable(name, false):
		return fmt.Errorf("%s %s has a space or a character that does not print", what, Quote(name))
	}
	return nil
}

// CheckNewName is CheckName for a name that no ring has yet. It also refuses a
// comma, which separates names on a command line, and characters that are not seen,
// with which two names look the same. Earlier versions took both.
func CheckNewName(what, name string) error {
	err := CheckName(what, name)
	switch {
	case err != nil:
		return err
	case strings.Contains(name, ","):
		return fmt.Errorf("%s %s has a comma, which separates names in a list", what, Quote(name))
	case strings.ContainsFunc(name, unseen):
		return fmt.Errorf("%s %s has a character that is not seen", what, Quote(name))
	}
	return nil
}

// CheckText is the rule for sentences: printable, and at most limits.Text bytes. An
// empty one is fine.
func CheckText(what, s string) error {
	switch {
	case len(s) > limits.Text:
		return fmt.Errorf("%s of %d bytes, at most %d", what, len(s), limits.Text)
	case !utf8.ValidString(s) || !printable(s, true):
		return fmt.Errorf("%s %s has a character that does not print", what, Quote(s))
	}
	return nil
}

// CheckAddress is the rule for addresses that are dialled: IP:PORT, or a host
// name of letters, digits, dots, hyphens and underscores with a port. Others
// mean something to the machine that dials them, such as a socket of its own.
func CheckAddress(a string) error {
	if len(a) > limits.Address {
		return fmt.Errorf("address %s has %d bytes, at most %d", Quote(a), len(a), limits.Address)
	}
	host, port, err := net.SplitHostPort(a)
	if err != nil {
		return fmt.Errorf("address %s is not HOST:PORT", Quote(a))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return fmt.Errorf("address %s is not HOST:PORT with a port from 1 to 65535", Quote(a))
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil && strings.ContainsFunc(host, notInHost):
		return fmt.Errorf("address %s has a character that no host name has", Quote(a))
	case strings.ContainsFunc(ip.Zone(), notInHost):
		return fmt.Errorf("address %s has a zone that no interface is named by", Quote(a))
	}
	return nil
}

func notInHost(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_", r))
}

// CheckAddresses is the rule for the addresses of one member: all that is wrong
// with them, at most limits.Addresses.
func CheckAddresses(addresses []string) error {
	if n := len(addresses); n > limits.Addresses {
		return fmt.Errorf("%d addresses, at most %d", n, limits.Addresses)
	}
	var errs []error
	for _, a := range addresses {
		errs = append(errs, CheckAddress(a))
	}
	return errors.Join(errs...)
}

// Quote is how an error or a log line repeats a text that came from outside:
// in quotes, what does not print or is not seen escaped, and cut with its length where it is
// long.
func Quote(s string) string { return brief(s, quote) }

// Brief is the same for a log, which puts the quotes and the escapes itself.
func Brief(s string) string { return brief(s, func(s string) string { return s }) }

func brief(s string, as func(string) string) string {
	if len(s) <= quoted {
		return as(s)
	}
	return fmt.Sprintf("%s… (%d bytes)", as(cut(s, quoted)), len(s))
}

// quote is strconv.Quote, which also escapes what prints and is not seen.
func quote(s string) string {
	q := strconv.Quote(s)
	if !strings.ContainsFunc(q, unseen) {
		return q
	}
	var b strings.Builder
	for _, r := range q {
		if unseen(r) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// rpcHead is what gRPC puts before the text of a status, dialHead what it puts around a
// dial's error, which is quoted. What follows it inside is transportHead.
var (
	rpcHead       = regexp.MustCompile(`rpc error: code = [A-Za-z0-9()]+ desc = `)
	dialHead      = regexp.MustCompile(`connection error: desc = ("(?:[^"\\]|\\.)*")`)
	transportHead = regexp.MustCompile(`^transport: `)
)

// Plain is an error's text without the words that gRPC puts around what a member said,
// or around why a member is not reached.
func Plain(text string) string {
	text = rpcHead.ReplaceAllString(text, "")
	return dialHead.ReplaceAllStringFunc(text, func(s string) string {
		inner, err := strconv.Unquote(dialHead.FindStringSubmatch(s)[1])
		if err != nil {
			return s
		}
		return transportHead.ReplaceAllString(inner, "")
	})
}

// Text is how a terminal is shown a text that came from outside: as it is, if
// all of it prints and is seen, or with the rest escaped. It is not cut.
func Text(s string) string {
	if utf8.ValidString(s) && printable(s, true) && !strings.ContainsFunc(s, unseen) {
		return s
	}
	q := quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// Lines is Text for several lines, which stay apart.
func Lines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = Text(l)
	}
	return strings.Join(lines, "\n")
}

// Writer returns a writer that shows w what is written to it as Lines does. Each
// write has to be of whole lines.
func Writer(w io.Writer) io.Writer { return writer{w} }

type writer struct{ to io.Writer }

func (w writer) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.to, Lines(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// JSON escapes what does not print, or is not seen, in the strings of a JSON text. It means the
// same to a program, and nothing to a terminal.
func JSON(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		if r < utf8.RuneSelf && r != '\x7f' || unicode.IsPrint(r) && !unseen(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
}

// Report is how an error is shown or sent: as Lines, but with spaces for tabs,
// none longer than reportLine bytes and not more than reportLines of them. It is the last
// resort for errors of other packages, which repeat what they were given.
func Report(s string) string {
	lines := strings.SplitN(s, "\n", reportLines+1)
	if k := len(lines); k > reportLines {
		lines[reportLines] = fmt.Sprintf("… (%d more lines)", 1+strings.Count(lines[reportLines], "\n"))
	}
	for i, l := range lines {
		if n := len(l); n > reportLine {
			l = fmt.Sprintf("%s … %s (%d bytes)", cut(l, reportLine*3/4), last(l, reportLine/4), n)
		}
		lines[i] = Text(strings.ToValidUTF8(strings.ReplaceAll(l, "\t", "    "), "\uFFFD"))
	}
	return strings.Join(lines, "\n")
}

// Cut is s, or as much of its beginning as fits into n bytes with an ellipsis
// after it. It leaves out what is not UTF-8.
func Cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "")
	if len(s) <= n {
		return s
	}
	return cut(s, max(n-len(ellipsis), 0)) + ellipsis
}

const ellipsis = "…"

// cut is the beginning of s, at most n bytes, without half a character.
func cut(s string, n int) string {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// last is the end of s, at most n bytes, without half a character.
func last(s string, n int) string {
	from := len(s) - n
	for from < len(s) && !utf8.RuneStart(s[from]) {
		from++
	}
	return s[from:]
}

// printable reports whether all of s prints, and holds no space unless spaces
// are wanted. Only the ordinary space is one that prints.
func printable(s string, spaces bool) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) || r == ' ' && !spaces })
}

// unseen reports whether r leaves no trace on a screen, or only a gap, although it
// counts as one that prints: the fillers, joiners and selectors that Unicode calls
// default-ignorable, and the empty Braille pattern. IsPrint knows the others of this
// kind, which are format characters or spaces.
func unseen(r rune) bool {
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) || r == '\u2800'
}
