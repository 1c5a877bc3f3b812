package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/arc-ring/arc/internal/limits"
)

type sample struct {
	name  string
	port  int
	quiet bool
	join  []string
	bind  []netip.Addr
	wait  time.Duration
}

func newSample() (*Set, *pflag.FlagSet, *sample) {
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	s, v := NewSet(fs), &sample{}
	Var(s, &v.name, "name", "", "box", "", NonEmpty)
	Var(s, &v.port, "port", "", "7400", "", Int(1, 65535))
	Var(s, &v.quiet, "log-quiet", "", "true", "", Bool)
	Var(s, &v.join, "join", "", "", "", ListOf(HostPort))
	Var(s, &v.bind, "bind", "", "0.0.0.0", "", ListOf(Addr))
	Var(s, &v.wait, "wait", "", "5s", "", Duration(0))
	return s, fs, v
}

func env(pairs ...string) func(string) (string, bool) {
	return func(key string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == key {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "arc.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrecedence(t *testing.T) {
	file := "name = \"from-file\"\nport = 1\nlog-quiet = false\njoin = [\"a:1\", \"b:2\"]\n"
	cases := []struct {
		what  string
		args  []string
		env   []string
		file  string
		name  string
		port  int
		layer Layer // of port
	}{
		{"defaults", nil, nil, "", "box", 7400, Default},
		{"file over default", nil, nil, file, "from-file", 1, File},
		{"env over file", nil, []string{"ARC_PORT", "2"}, file, "from-file", 2, Env},
		{"flag over env", []string{"--port=3"}, []string{"ARC_PORT", "2"}, file, "from-file", 3, Flag},
		{"flag that says the default still wins", []string{"--port=7400", "--name=box"}, []string{"ARC_PORT", "2"}, file, "box", 7400, Flag},
	}
	for _, c := range cases {
		t.Run(c.what, func(t *testing.T) {
			s, fs, v := newSample()
			if err := fs.Parse(c.args); err != nil {
				t.Fatal(err)
			}
			path := ""
			if c.file != "" {
				path = write(t, c.file)
			}
			if err := s.Resolve(env(c.env...), path); err != nil {
				t.Fatal(err)
			}
			if v.name != c.name || v.port != c.port || s.Layer("port") != c.layer {
				t.Errorf("got name %q, port %d from %s; want %q, %d from %s", v.name, v.port, s.Layer("port"), c.name, c.port, c.layer)
			}
		})
	}
}

func TestAnyLayerCanSayFalse(t *testing.T) {
	for _, c := range []struct {
		what string
		args []string
		env  []string
		file string
	}{
		{"flag", []string{"--log-quiet=false"}, nil, ""},
		{"env", nil, []string{"ARC_LOG_QUIET", "false"}, ""},
		{"file", nil, nil, "log-quiet = false\n"},
	} {
		t.Run(c.what, func(t *testing.T) {
			s, fs, v := newSample()
			if err := fs.Parse(c.args); err != nil {
				t.Fatal(err)
			}
			path := ""
			if c.file != "" {
				path = write(t, c.file)
			}
			if err := s.Resolve(env(c.env...), path); err != nil {
				t.Fatal(err)
			}
			if v.quiet {
				t.Error("still true")
			}
		})
	}
}

func TestLists(t *testing.T) {
	s, fs, v := newSample()
	if err := fs.Parse([]string{"--join", "a:1, b:2", "--join", "[fd00::1]:3"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Resolve(env(), write(t, "bind = [\"127.0.0.1\", \"::1\"]\n")); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a:1", "b:2", "[fd00::1]:3"}; !slices.Equal(v.join, want) {
		t.Errorf("join = %q, want %q", v.join, want)
	}
	if want := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}; !slices.Equal(v.bind, want) {
		t.Errorf("bind = %v, want %v", v.bind, want)
	}
}

// A gap in a list is where something is missing.
func TestAListHasNoGaps(t *testing.T) {
	for text, want := range map[string]string{
		"": "", " ": "", "a:1": "", " a:1 , b:2 ": "",
		"a:1,,b:2": `an item is empty in "a:1,,b:2"`, ",a:1": "an item is empty", "a:1,": "an item is empty", "a:1, ,b:2": "an item is empty", ",": "an item is empty",
	} {
		list, err := ListOf(HostPort)(text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v; want %q", text, list, err, want)
		}
	}
	s, fs, v := newSample()
	if err := fs.Parse([]string{"--join=a:1", "--join="}); err != nil {
		t.Fatal(err)
	}
	if err := s.Resolve(env(), ""); err == nil || len(v.join) > 0 {
		t.Errorf("an empty one beside another: %v, %v", v.join, err)
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	s, fs, _ := newSample()
	if err := fs.Parse([]string{"--port=99999", "--join=nowhere"}); err != nil {
		t.Fatal(err)
	}
	err := s.Resolve(env("ARC_WAIT", "soon"), write(t, "bind = \"here\"\nlog_quiet = 1\nname = [\"a\"]\n"))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`--port: "99999" is not a whole number from 1 to 65535`,
		`--join: address "nowhere" is not HOST:PORT`,
		`ARC_WAIT: "soon" is not a duration`,
		`bind: "here" is not an IP address`,
		`unknown key "log_quiet" (did you mean "log-quiet"?)`,
		`name: an array where one value belongs`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
}

func TestBadValuesGiveWayToDefaults(t *testing.T) {
	s, fs, v := newSample()
	if err := fs.Parse([]string{"--port=99999", "--name=n1"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Resolve(env(), ""); err == nil {
		t.Fatal("no error")
	}
	if !s.Unclear("port") || v.port != 7400 || s.Unclear("name") || s.Unclear("bind") || v.name != "n1" {
		t.Errorf("port %d (unclear: %v), name %q (unclear: %v), bind unclear: %v", v.port, s.Unclear("port"), v.name, s.Unclear("name"), s.Unclear("bind"))
	}
}

func TestBadFile(t *testing.T) {
	s, _, _ := newSample()
	if err := s.Resolve(env(), write(t, "name = \n")); err == nil || !strings.Contains(err.Error(), ":1:") {
		t.Errorf("got %v, want the position", err)
	}
	if err := s.Resolve(env(), filepath.Join(t.TempDir(), "none.toml")); err == nil || !strings.Contains(err.Error(), "none.toml") {
		t.Errorf("got %v, want the path", err)
	}
}

func TestALongFile(t *testing.T) {
	text := "name = \"n1\"\n"
	for size, good := range map[int]bool{limits.ConfigFile: true, limits.ConfigFile + 1: false} {
		s, _, v := newSample()
		err := s.Resolve(env(), write(t, text+strings.Repeat("\n", size-len(text))))
		if (err == nil) != good || good && v.name != "n1" {
			t.Errorf("%d bytes: name %q, %v", size, v.name, err)
		}
		if !good && !strings.Contains(err.Error(), strconv.Itoa(limits.ConfigFile)) {
			t.Errorf("%v does not name the limit", err)
		}
	}
}

// Whatever a file with a mistake does not set it may have been meant to set.
func TestABadFileLeavesDefaultsUnclear(t *testing.T) {
	for what, text := range map[string]string{
		"no TOML":     "port = \n",
		"unknown key": "bnid = \"::1\"\nport = 1\n",
		"bad value":   "wait = \"soon\"\nport = 1\n",
		"bad array":   "name = [\"a\"]\nport = 1\n",
	} {
		s, fs, _ := newSample()
		if err := fs.Parse([]string{"--join=a:1"}); err != nil {
			t.Fatal(err)
		}
		err := s.Resolve(env("ARC_LOG_QUIET", "false"), write(t, text))
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one error", what, err)
		}
		if !s.Unclear("bind") || s.Unclear("join") || s.Unclear("log-quiet") || what != "no TOML" && s.Unclear("port") {
			t.Errorf("%s: unclear are bind %v, join %v, log-quiet %v, port %v", what, s.Unclear("bind"), s.Unclear("join"), s.Unclear("log-quiet"), s.Unclear("port"))
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add("name = \"a\"\nport = 7400\n")
	f.Add("join = [[1], {a = 2}]\n")
	path := filepath.Join(f.TempDir(), "arc.toml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Skipf("the file cannot be written here: %v", err)
		}
		s, _, v := newSample()
		if err := s.Resolve(env(), path); err == nil && (v.port < 1 || v.port > 65535) {
			t.Errorf("accepted port %d from %q", v.port, text)
		}
	})
}
