package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/plainfile"
	"github.com/arc-ring/arc/internal/trust"
)

var secretTime = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// atHome runs arc as a user without rights, whose home is a directory of its own.
type atHome struct {
	t         *testing.T
	home      string
	env       map[string]string
	out, said bytes.Buffer
}

func newAtHome(t *testing.T) *atHome {
	home := t.TempDir()
	return &atHome{t: t, home: home, env: map[string]string{"HOME": home}}
}

func (h *atHome) run(args ...string) error {
	f := testFactory()
	f.env = func(key string) (string, bool) { v, ok := h.env[key]; return v, ok }
	f.now = func() time.Time { return secretTime }
	h.out.Reset()
	h.said.Reset()
	f.out, f.err = &h.out, &h.said
	return execute(h.t.Context(), f, args)
}

func (h *atHome) must(args ...string) {
	h.t.Helper()
	if err := h.run(args...); err != nil {
		h.t.Fatalf("arc %s: %v", strings.Join(args, " "), err)
	}
}

func (h *atHome) path() string { return filepath.Join(h.home, ".config", "arc", "secret") }

func (h *atHome) secrets() []trust.Secret {
	h.t.Helper()
	all, err := trust.ReadSecrets(h.path())
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

func TestTheDefaultSecretFile(t *testing.T) {
	for _, c := range []struct {
		uid  int
		env  map[string]string
		want string
	}{
		{0, map[string]string{"HOME": "/root", "XDG_CONFIG_HOME": "/x"}, "/etc/arc/secret"},
		{1000, map[string]string{"HOME": "/home/u", "XDG_CONFIG_HOME": "/x"}, "/x/arc/secret"},
		{1000, map[string]string{"HOME": "/home/u", "XDG_CONFIG_HOME": "x"}, "/home/u/.config/arc/secret"},
		{1000, map[string]string{"HOME": "/home/u"}, "/home/u/.config/arc/secret"},
		{1000, map[string]string{"HOME": "u"}, ""},
		{1000, nil, ""},
	} {
		f := testFactory()
		f.uid, f.env = c.uid, func(key string) (string, bool) { v, ok := c.env[key]; return v, ok }
		if got := defaultSecretFile(f); got != c.want {
			t.Errorf("user %d with %v: %q, want %q", c.uid, c.env, got, c.want)
		}
	}
	h := newAtHome(t)
	delete(h.env, "HOME")
	if err := h.run("secret", "new"); exitCode(err) != exitUsage || !strings.Contains(err.Error(), "no home directory") {
		t.Errorf("without a home: %v", err)
	}
}

// With --insecure a secret at its default place is not used, and the log names it.
func TestInsecureNamesTheSecretThatItGoesWithout(t *testing.T) {
	h := newAtHome(t)
	for _, there := range []bool{false, true} {
		want := ""
		if there {
			h.must("secret", "new")
			want = h.path()
		}
		for args, unused := range map[string]string{"--insecure": want, "--bind 127.0.0.1": ""} {
			f := testFactory()
			f.env = func(key string) (string, bool) { v, ok := h.env[key]; return v, ok }
			o := newCoordinatorFlags((&cobra.Command{}).Flags(), f)
			if err := errors.Join(o.flags.Parse(strings.Fields("--bootstrap "+args)), o.resolve(f)); err != nil {
				t.Fatal(err)
			}
			if o.UnusedSecret != unused || (o.Keys.Secret != "") != (there && unused == "") {
				t.Errorf("%s, a secret is there: %v: it uses %q and goes without %q", args, there, o.Keys.Secret, o.UnusedSecret)
			}
		}
	}
}

func TestANewSecretIsForItsOwnerAlone(t *testing.T) {
	for _, umask := range []int{0, 0o077, 0o377} {
		h := newAtHome(t)
		// The command makes the last directory and any that are missing above it.
		if err := os.Mkdir(filepath.Join(h.home, ".config"), 0o755); err != nil {
			t.Fatal(err)
		}
		old := unix.Umask(umask)
		err := h.run("secret", "new")
		unix.Umask(old)
		if err != nil {
			t.Fatalf("umask %o: %v", umask, err)
		}
		for path, want := range map[string]os.FileMode{h.path(): 0o600, filepath.Dir(h.path()): os.ModeDir | 0o700, h.path() + ".new": 0} {
			info, err := os.Stat(path)
			if want == 0 && !errors.Is(err, os.ErrNotExist) || want != 0 && (err != nil || info.Mode() != want) {
				t.Errorf("umask %o: %s: %v, %v, want %v", umask, path, info, err, want)
			}
		}
		all := h.secrets()
		if !all[0].Made().Equal(secretTime) || !strings.Contains(h.out.String(), all[0].ID()) || !strings.Contains(h.out.String(), h.path()) {
			t.Errorf("%v of %v; arc said %q", all, all[0].Made(), h.out.String())
		}
		if shown := h.out.String() + h.said.String(); strings.Contains(shown, all[0].Hex()) {
			t.Errorf("the secret itself is shown: %s", shown)
		}
	}
}

// A directory that is there keeps its mode.
func TestADirectoryThatIsThereStaysAsItIs(t *testing.T) {
	h := newAtHome(t)
	dir := filepath.Dir(h.path())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	h.must("secret", "new")
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
}

// Whatever lies at the path stays there, and nothing is written behind a link.
func TestSecretNewOverwritesNothing(t *testing.T) {
	for what, c := range map[string]struct {
		make func(path string) error
		want string
	}{
		"a directory":     {func(path string) error { return os.Mkdir(path, 0o700) }, "is a directory"},
		"a symbolic link": {func(path string) error { return os.Symlink("elsewhere", path) }, "is a symbolic link"},
		"a named pipe":    {func(path string) error { return unix.Mkfifo(path, 0o600) }, "is a named pipe"},
		"an empty file":   {func(path string) error { return os.WriteFile(path, nil, 0o600) }, "holds no secret"},
		"another file":    {func(path string) error { return os.WriteFile(path, []byte("x"), 0o600) }, "is not a secret"},
	} {
		h := newAtHome(t)
		if err := errors.Join(os.MkdirAll(filepath.Dir(h.path()), 0o700), c.make(h.path())); err != nil {
			t.Fatal(err)
		}
		before, err := os.Lstat(h.path())
		if err != nil {
			t.Fatal(err)
		}
		for _, args := range []string{"secret new", "secret rotate add", "secret show"} {
			err := h.run(strings.Fields(args)...)
			if exitCode(err) != exitFailed || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), h.path()) || h.out.Len() > 0 {
				t.Errorf("%s: arc %s: %v, want %q; it printed %q", what, args, err, c.want, h.out.String())
			}
		}
		after, err := os.Lstat(h.path())
		if err != nil || !os.SameFile(before, after) || before.Mode() != after.Mode() {
			t.Errorf("%s became %v, %v", what, after, err)
		}
		all, err := os.ReadDir(filepath.Dir(h.path()))
		if err != nil || len(all) != 1 {
			t.Errorf("%s: the directory has %v, %v", what, all, err)
		}
	}
}

// A step that cannot be written changes nothing, and the next try can.
func TestAStepThatFailsLeavesTheFile(t *testing.T) {
	h := newAtHome(t)
	h.must("secret", "new")
	before := h.secrets()
	for what, args := range map[string][]string{
		"rotate": {"secret", "rotate", "add"},
		"issue":  {"secret", "issue", "--role", "read", "--out", filepath.Join(h.home, "c.pem")},
		"new":    {"secret", "new", "--secret-file", filepath.Join(h.home, "other")},
	} {
		// The limit holds for all files of a process, so not for this one.
		cmd := exec.Command("sh", append([]string{"-c", `ulimit -f 0; exec arc "$@"`, "sh"}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+h.home, "ARC_SECRET_FILE="+h.path())
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(string(out), "file too large") {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
		if after := h.secrets(); len(after) != 1 || after[0] != before[0] {
			t.Errorf("%s: %v became %v", what, before, after)
		}
	}
	if all, err := os.ReadDir(h.home); err != nil || len(all) != 1 {
		t.Errorf("left behind: %v, %v", all, err)
	}
	h.must("secret", "rotate", "add")
}

// The draft of a process that was cut off is named, and not deleted: it may be a secret.
func TestALeftoverIsNamed(t *testing.T) {
	h := newAtHome(t)
	h.must("secret", "new")
	left := h.path() + ".new"
	if err := os.WriteFile(left, []byte("half a sec"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.run("secret", "rotate", "add"); !errors.Is(err, plainfile.ErrBusy) || !strings.Contains(err.Error(), left) || exitCode(err) != exitFailed {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(left); err != nil || string(b) != "half a sec" {
		t.Errorf("it became %q, %v", b, err)
	}
	if err := os.Remove(left); err != nil {
		t.Fatal(err)
	}
	h.must("secret", "rotate", "add")
}

func TestARotationKeepsModeAndOwner(t *testing.T) {
	h := newAtHome(t)
	h.must("secret", "new")
	uid := os.Getuid()
	if uid == 0 { // only root can give files away
		uid = 12345
	}
	if err := errors.Join(os.Chown(h.path(), uid, -1), os.Chmod(h.path(), 0o400)); err != nil {
		t.Fatal(err)
	}
	for _, step := range trust.Steps {
		h.must("secret", "rotate", string(step))
		info, err := os.Stat(h.path())
		if err != nil {
			t.Fatal(err)
		}
		if s := info.Sys().(*syscall.Stat_t); int(s.Uid) != uid || info.Mode() != 0o400 {
			t.Errorf("after %s: %v of user %d", step, info.Mode(), s.Uid)
		}
		for _, s := range h.secrets() {
			if shown := h.out.String() + h.said.String(); strings.Contains(shown, s.Hex()) || !strings.Contains(shown, s.ID()) {
				t.Errorf("after %s: %q", step, shown)
			}
		}
	}
}

// A certificate is good for whom and how long it says.
func TestAnIssuedCertificateOpens(t *testing.T) {
	h := newAtHome(t)
	h.must("secret", "new")
	out := filepath.Join(h.home, "c.pem")
	old := unix.Umask(0)
	defer unix.Umask(old)
	h.must("secret", "issue", "--role", "operate", "--name", "alice", "--cluster", "prod", "--for", "36500d", "--out", out)
	if want := "2126-11-07T12:00:00Z"; !strings.Contains(h.said.String(), want) || h.out.Len() > 0 {
		t.Errorf("it said %q and printed %q, want %s", h.said.String(), h.out.String(), want)
	}
	if info, err := os.Stat(out); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	c, err := trust.OpenClient(out)
	if err != nil {
		t.Fatal(err)
	}
	if want := (trust.Identity{Cluster: "prod", Role: trust.Operate, Name: "alice"}); c.Self() != want {
		t.Errorf("it is for %v, want %v", c.Self(), want)
	}
	h.env["ARC_CLUSTER"] = "lab" // as the coordinator of this machine has it
	h.env["ARC_NAME"] = "n1"     // which is a node's
	h.must("secret", "issue", "--role", "read")
	if !strings.Contains(h.said.String(), "spiffe://lab/read/read") {
		t.Errorf("it said %q", h.said.String())
	}
}

func TestDays(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"365d": 8760 * time.Hour, "1d": 24 * time.Hour, "8760h": 8760 * time.Hour, "1s": time.Second, "36500d": 876000 * time.Hour,
		"": 0, "d": 0, "0d": 0, "-1d": 0, "1.5d": 0, "36501d": 0, "99999d": 0, "18446744073709551615d": 0, "876001h": 0, "999ms": 0, "-5h": 0, "1d12h": 0, "soon": 0,
	} {
		if got, err := days(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
}
