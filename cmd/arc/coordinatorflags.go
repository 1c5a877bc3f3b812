package main

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/coordinator"
	"github.com/arc-ring/arc/internal/config"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/logging"
	"github.com/arc-ring/arc/ring"
)

// coordinatorFlags are the options of `arc coordinator`.
type coordinatorFlags struct {
	set        *config.Set
	flags      *pflag.FlagSet
	configFile string

	name, cluster       string
	bind                []netip.Addr
	port, discoveryPort int
	dataDir, runDir     string
	bootstrap           bool
	expect              int
	join, interfaces    []string
	noAutodiscovery     bool
	profile, onJoin     string
	witness, insecure   bool
	realtime            bool
	logLevel            string
	logJSON             bool
}

// newCoordinatorFlags defines the options in flags.
func newCoordinatorFlags(flags *pflag.FlagSet, f *factory) *coordinatorFlags {
	o := &coordinatorFlags{set: config.NewSet(flags), flags: flags}
	host, _ := f.hostname() // an empty name is refused by the coordinator's rules
	text := func(p *string, name, hint, def, usage string, parse func(string) (string, error)) {
		config.Var(o.set, p, config.Spec[string]{Name: name, Hint: hint, Default: def, Usage: usage, Parse: parse})
	}
	number := func(p *int, name, hint, def string, lo, hi int, usage string) {
		config.Var(o.set, p, config.Spec[int]{Name: name, Hint: hint, Default: def, Usage: usage, Parse: config.Int(lo, hi)})
	}
	toggle := func(p *bool, name, usage string) {
		config.Var(o.set, p, config.Spec[bool]{Name: name, Default: "false", Shape: config.Switch, Usage: usage, Parse: config.Bool})
	}
	list := func(p *[]string, name, hint, usage string, parse func(string) (string, error)) {
		config.Var(o.set, p, config.Spec[[]string]{Name: name, Hint: hint, Shape: config.List, Usage: usage, Parse: config.ListOf(parse)})
	}
	port := strconv.Itoa(coordinator.DefaultPort)

	text(&o.name, "name", "NAME", host, "this machine's name in the ring, the same after every restart", config.Text)
	text(&o.cluster, "cluster", "NAME", "arc", "the ring's name; nodes of another are not heard", config.Text)
	config.Var(o.set, &o.bind, config.Spec[[]netip.Addr]{Name: "bind", Hint: "IP,...", Default: "0.0.0.0", Shape: config.List, Parse: config.ListOf(config.Addr),
		Usage: "addresses to listen on and to advertise; 0.0.0.0 or :: stands for all of the machine"})
	number(&o.port, "port", "PORT", port, 0, 65535, "TCP port for everything; 0 takes a free one")
	text(&o.dataDir, "data-dir", "DIR", defaultDataDir(f), "holds the log; locked while the coordinator runs", config.Text)
	text(&o.runDir, "run-dir", "DIR", client.RunDir(without(f.env, "ARC_RUN_DIR"), f.uid), "holds arc.sock and the pid files; locked while the coordinator runs", config.NonEmpty)
	toggle(&o.bootstrap, "bootstrap", "found a ring alone, on the first start of one node only")
	number(&o.expect, "expect", "N", "0", 0, limits.Founders, "found a ring as soon as N nodes have heard each other; 0 never founds")
	list(&o.join, "join", "HOST:PORT,...", "members to ask, beside discovery", config.HostPort)
	toggle(&o.noAutodiscovery, "no-autodiscovery", "neither send nor answer UDP hellos; use --join")
	number(&o.discoveryPort, "discovery-port", "PORT", port, 1, 65535, "UDP port of the hellos, shared by all coordinators of a host")
	list(&o.interfaces, "interface", "NAME,...", "network interfaces for the hellos; none means all that are up", config.NonEmpty)
	text(&o.profile, "profile", "PROFILE", ring.DefaultProfile, "timing of a ring founded here: "+strings.Join(ring.Profiles, ", "), config.OneOf(ring.Profiles...))
	text(&o.onJoin, "on-join", "WHAT", string(ring.Stay), "stay: lead only when needed; lead: be handed the leadership at each join", config.OneOf(string(ring.Stay), string(ring.Lead)))
	toggle(&o.witness, "witness", "vote but never lead")
	toggle(&o.realtime, "realtime", "run coordinator and monitor under SCHED_RR with all memory locked; needs CAP_SYS_NICE and CAP_IPC_LOCK")
	toggle(&o.insecure, "insecure", "allow addresses that are not loopback, without any secret")
	text(&o.logLevel, "log-level", "LEVEL", logging.DefaultLevel, strings.Join(logging.Levels, ", ")+"; SIGHUP reads it again", logLevel)
	toggle(&o.logJSON, "log-json", "write logs as JSON, one object a line")
	flags.StringVar(&o.configFile, "config", "", "TOML `FILE` with these options, keys as the flags are named")
	return o
}

// resolve gives all options their values and reports everything that is wrong
// with them and between them.
func (o *coordinatorFlags) resolve(f *factory) error {
	err := o.set.Resolve(f.env, o.fileOf(f))
	if o.set.Bad("bind") {
		// The default needs --insecure, of which nobody spoke.
		o.bind = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	err = errors.Join(err, o.checkDirs())
	options := o.options(f, "arc", nil)
	if rules := options.Validate(); rules != nil {
		text := strings.TrimPrefix(rules.Error(), coordinator.ErrUsage.Error()+": ")
		err = errors.Join(err, errors.New(text))
	}
	return err
}

// fileOf is the configuration file, "" for none.
func (o *coordinatorFlags) fileOf(f *factory) string {
	if env, ok := f.env("ARC_CONFIG"); ok && !given(o.flags, "config") {
		return env
	}
	return o.configFile
}

// checkDirs makes the directories' paths absolute.
func (o *coordinatorFlags) checkDirs() error {
	var errs []error
	for key, path := range map[string]*string{"data-dir": &o.dataDir, "run-dir": &o.runDir} {
		if *path == "" {
			continue // the coordinator's own rules mind it
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", o.set.Origin(key), err))
			continue
		}
		*path = abs
	}
	socket := filepath.Join(o.runDir, client.SocketName)
	if n := len(socket) - limits.SocketPath; n > 0 {
		errs = append(errs, fmt.Errorf("%s: %s is too long by %d bytes for a unix socket in it", o.set.Origin("run-dir"), o.runDir, n))
	}
	if o.dataDir != "" && o.dataDir == o.runDir {
		errs = append(errs, fmt.Errorf("%s and %s are the same directory, %s", o.set.Origin("data-dir"), o.set.Origin("run-dir"), o.dataDir))
	}
	return errors.Join(errs...)
}

// options is what the coordinator is given.
func (o *coordinatorFlags) options(f *factory, executable string, log hclog.Logger) coordinator.Options {
	monitor := []string{executable, "monitor", "--log-level", o.logLevel}
	if o.logJSON {
		monitor = append(monitor, "--log-json")
	}
	if o.realtime {
		monitor = append(monitor, "--realtime")
	}
	return coordinator.Options{
		Name: o.name, Cluster: o.cluster, Bind: o.bind, Port: o.port, DataDir: o.dataDir, RunDir: o.runDir,
		Bootstrap: o.bootstrap, Expect: o.expect, Join: o.join, NoAutodiscovery: o.noAutodiscovery,
		DiscoveryPort: o.discoveryPort, Interfaces: o.interfaces,
		Profile: o.profile, OnJoin: ring.OnJoin(o.onJoin), Witness: o.witness, Realtime: o.realtime, Insecure: o.insecure,
		MonitorCommand: monitor, MonitorImage: ownImage, Version: versionOf().Version, Logger: log,
		ReloadLogLevel: func() error { return o.reloadLevel(f, log) },
	}
}

// reloadLevel reads the configuration again and applies its log level; other
// options keep their values until a restart. The coordinator tells its monitor.
func (o *coordinatorFlags) reloadLevel(f *factory, log hclog.Logger) error {
	if err := o.set.Resolve(f.env, o.fileOf(f)); err != nil {
		return fmt.Errorf("reload log level: %w", err)
	}
	level, err := logging.ParseLevel(o.logLevel)
	if err != nil {
		return fmt.Errorf("reload log level: %s: %w", o.set.Origin("log-level"), err)
	}
	log.SetLevel(level)
	return nil
}

func defaultDataDir(f *factory) string {
	if f.uid == 0 {
		return "/var/lib/arc"
	}
	if dir, ok := f.env("XDG_STATE_HOME"); ok && filepath.IsAbs(dir) {
		return filepath.Join(dir, "arc")
	}
	if home, ok := f.env("HOME"); ok && filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "arc")
	}
	return ""
}

// without hides a variable: the layer that it belongs to is told apart later.
func without(env func(string) (string, bool), hidden string) func(string) (string, bool) {
	return func(key string) (string, bool) {
		if key == hidden {
			return "", false
		}
		return env(key)
	}
}

func logLevel(s string) (string, error) {
	_, err := logging.ParseLevel(s)
	return s, err
}
