package main

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/coordinator"
	"github.com/arc-ring/arc/internal/config"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/logging"
	"github.com/arc-ring/arc/internal/realtime"
	"github.com/arc-ring/arc/internal/trust"
	"github.com/arc-ring/arc/ring"
)

func newCoordinatorCmd(f *factory) *cobra.Command {
	var o *coordinatorFlags
	cmd := &cobra.Command{
		Use:   "coordinator",
		Short: "Run this machine's coordinator and its monitor",
		Long: `Runs this machine's coordinator in the foreground. Its monitor is a second process.

SIGTERM or an interrupt ends both within 5 s: the coordinator hands over if it
leads, and leaves the ring. A second signal ends it at once. Signals within one
second of the first count as the first, since timeout(1) and terminals signal
twice. SIGHUP reads the log level again, for the monitor too, and the keys.

--realtime keeps other programs from delaying ARC: both processes run under
SCHED_RR priority 10 with their memory locked. The realtime profile is meant to
be used with it. It needs root, or CAP_SYS_NICE and CAP_IPC_LOCK, or the limits
RLIMIT_RTPRIO 10 and RLIMIT_MEMLOCK unlimited.

A ring is founded by --expect N on all of N nodes, or by --bootstrap on one. Later
starts ignore both, since the data directory holds the ring.

All machines of a ring have the same secret file, which arc secret new makes. With
it every connection is mutual TLS 1.3, and strangers get no answer. The file is read
again every 5 s and at SIGHUP. Without it only loopback addresses can be bound, and
over TCP programs can only look. --insecure goes without any secret on all addresses:
then everybody who reaches the port can change the ring.`,
		Example: `  # on each of three machines in one LAN
  arc coordinator --expect 3

  # without broadcast
  arc coordinator --no-autodiscovery --join 10.0.0.5:7400,10.0.0.6:7400

  # alone on this machine, for a try
  arc coordinator --bootstrap --bind 127.0.0.1`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.resolve(f); err != nil {
				return usage(err)
			}
			executable, err := f.executable()
			if err != nil {
				return fmt.Errorf("find the program to start as monitor: %w", err)
			}
			o.MonitorCommand[0] = executable
			if o.Realtime {
				// Before anything is opened: it executes the program again.
				if err := realtime.Enter(ownImage); err != nil {
					return fmt.Errorf("%s: %w; run as root or give the right, or go without %s", o.set.Origin("realtime"), err, o.set.Origin("realtime"))
				}
			}
			keepName()
			log, flush := logging.NewAsync(o.logs)
			defer flush()
			o.Logger, o.ReloadLogLevel = log, func() error { return o.reloadLevel(f, log) }
			err = coordinator.Run(cmd.Context(), o.Options)
			if errors.Is(err, coordinator.ErrUsage) {
				return usage(err)
			}
			return err
		},
	}
	o = newCoordinatorFlags(cmd.Flags(), f)
	return cmd
}

// coordinatorFlags are the options of `arc coordinator`.
type coordinatorFlags struct {
	coordinator.Options
	onJoin string
	logs   logging.Options

	set        *config.Set
	flags      *pflag.FlagSet
	configFile string
}

// newCoordinatorFlags defines the options in flags.
func newCoordinatorFlags(flags *pflag.FlagSet, f *factory) *coordinatorFlags {
	o := &coordinatorFlags{set: config.NewSet(flags), flags: flags, logs: logging.Options{Name: logging.Coordinator, Output: f.err}}
	host, _ := f.hostname() // an empty name is refused by the coordinator's rules
	port := strconv.Itoa(coordinator.DefaultPort)
	// Which layer the directory comes from is told apart later.
	runDir := client.RunDir(func(key string) (string, bool) {
		value, ok := f.env(key)
		return value, ok && key != config.EnvName("run-dir")
	}, f.uid)

	config.Var(o.set, &o.Name, "name", "NAME", host, "this machine's name in the ring, without space or comma, the same after every restart", config.Text)
	config.Var(o.set, &o.Cluster, "cluster", "NAME", "arc", "the ring's name; nodes of another ring are not heard", config.Text)
	config.Var(o.set, &o.Bind, "bind", "IP,...", "0.0.0.0", "addresses to listen on and to advertise; 0.0.0.0 or :: stands for all addresses of the machine", config.ListOf(config.Addr))
	config.Var(o.set, &o.Port, "port", "PORT", port, "TCP port of all services; 0 takes a free one", config.Int(0, 65535))
	config.Var(o.set, &o.DataDir, "data-dir", "DIR", defaultDataDir(f), "directory of the log, locked while the coordinator runs", config.Text)
	config.Var(o.set, &o.RunDir, "run-dir", "DIR", runDir, "directory of arc.sock and the pid files, locked while the coordinator runs", config.NonEmpty)
	config.Var(o.set, &o.Bootstrap, "bootstrap", "", "false", "found a ring alone, on the first start of one node only", config.Bool)
	config.Var(o.set, &o.Expect, "expect", "N", "0", "found a ring as soon as N nodes have heard each other; 0 never founds", config.Int(0, limits.Founders))
	config.Var(o.set, &o.Join, "join", "HOST:PORT,...", "", "members to ask, in addition to discovery", config.ListOf(config.HostPort))
	config.Var(o.set, &o.NoAutodiscovery, "no-autodiscovery", "", "false", "neither send nor answer UDP hellos; use --join", config.Bool)
	config.Var(o.set, &o.DiscoveryPort, "discovery-port", "PORT", port, "UDP port of the hellos, shared by all coordinators of a host", config.Int(1, 65535))
	config.Var(o.set, &o.Interfaces, "interface", "NAME,...", "", "network interfaces for the hellos; none means all that are up", config.ListOf(config.NonEmpty))
	config.Var(o.set, &o.Profile, "profile", "PROFILE", ring.DefaultProfile, "timing of a ring founded here: "+strings.Join(ring.Profiles, ", "), config.OneOf(ring.Profiles...))
	config.Var(o.set, &o.onJoin, "on-join", "WHAT", string(ring.Stay), "stay: lead only when needed; lead: be handed the leadership at each join", config.OneOf(string(ring.Stay), string(ring.Lead)))
	config.Var(o.set, &o.Witness, "witness", "", "false", "vote but never lead", config.Bool)
	config.Var(o.set, &o.Realtime, "realtime", "", "false", "run coordinator and monitor under SCHED_RR with all memory locked; needs CAP_SYS_NICE and CAP_IPC_LOCK", config.Bool)
	config.Var(o.set, &o.Insecure, "insecure", "", "false", "go without any secret: everybody who reaches the port can change the ring", config.Bool)
	addKeys(o.set, &o.Keys, defaultSecretFile(f))
	config.Var(o.set, &o.logs.Level, "log-level", "LEVEL", logging.DefaultLevel, strings.Join(logging.Levels, ", ")+"; SIGHUP reads it again", logging.ParseLevel)
	config.Var(o.set, &o.logs.JSON, "log-json", "", "false", "write logs as JSON, one object a line", config.Bool)
	flags.StringVar(&o.configFile, "config", "", "TOML `FILE` with these options, keys as the flags are named")
	return o
}

// resolve gives all options their values and reports everything that is wrong
// with them and between them.
func (o *coordinatorFlags) resolve(f *factory) error {
	err := o.set.Resolve(f.env, o.fileOf(f))
	o.sparing()
	unused, wrong := resolveKeys(o.set, &o.Keys, o.Insecure)
	o.UnusedSecret, err = unused, errors.Join(err, o.checkDirs(), wrong)
	o.OnJoin, o.Version, o.MonitorImage = ring.OnJoin(o.onJoin), versionOf().Version, ownImage
	o.MonitorCommand = []string{"arc", "monitor", "--log-level", o.logs.Level.String()}
	if o.logs.JSON {
		o.MonitorCommand = append(o.MonitorCommand, "--log-json")
	}
	if o.Realtime {
		o.MonitorCommand = append(o.MonitorCommand, "--realtime")
	}
	if o.Keys != (trust.Files{}) {
		o.MonitorCommand = append(o.MonitorCommand, "--name", o.Name, "--cluster", o.Cluster)
	}
	for i, path := range []string{o.Keys.Secret, o.Keys.Cert, o.Keys.Key, o.Keys.Authority} {
		if path != "" {
			o.MonitorCommand = append(o.MonitorCommand, "--"+keyFlags[i], path)
		}
	}
	if rules := o.Validate(); rules != nil {
		text := strings.TrimPrefix(rules.Error(), coordinator.ErrUsage.Error()+": ")
		err = errors.Join(err, errors.New(text))
	}
	return err
}

// sparing gives what is not known, because of a mistake that is reported, values
// of which the rules between options do not complain.
func (o *coordinatorFlags) sparing() {
	local := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	join := func() { o.Join = []string{netip.AddrPortFrom(local, coordinator.DefaultPort).String()} }
	for key, spare := range map[string]func(){
		"name":      func() { o.Name = "unclear" },
		"bind":      func() { o.Bind = []netip.Addr{local} },
		"insecure":  func() { o.Insecure = true },
		"join":      join,
		"bootstrap": join, // each of the three can be the way to a ring that another option needs
		"expect":    join,
		"data-dir":  func() { o.DataDir = "/unclear/data" },
		"run-dir":   func() { o.RunDir = "/unclear/run" },
	} {
		if o.set.Unclear(key) {
			spare()
		}
	}
}

// fileOf is the configuration file, "" for none.
func (o *coordinatorFlags) fileOf(f *factory) string {
	if env, ok := f.env("ARC_CONFIG"); ok && !o.flags.Changed("config") {
		return env
	}
	return o.configFile
}

// checkDirs makes the directories' paths absolute.
func (o *coordinatorFlags) checkDirs() error {
	var errs []error
	for key, path := range map[string]*string{"data-dir": &o.DataDir, "run-dir": &o.RunDir} {
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
	socket := filepath.Join(o.RunDir, client.SocketName)
	if n := len(socket) - limits.SocketPath; n > 0 {
		errs = append(errs, fmt.Errorf("%s: %s is too long by %d bytes for a unix socket in it", o.set.Origin("run-dir"), o.RunDir, n))
	}
	if o.DataDir != "" && o.DataDir == o.RunDir {
		errs = append(errs, fmt.Errorf("%s and %s are the same directory, %s", o.set.Origin("data-dir"), o.set.Origin("run-dir"), o.DataDir))
	}
	return errors.Join(errs...)
}

// reloadLevel reads the configuration again and applies its log level; other
// options keep their values until a restart. The coordinator tells its monitor.
func (o *coordinatorFlags) reloadLevel(f *factory, log hclog.Logger) error {
	if err := o.set.Resolve(f.env, o.fileOf(f)); err != nil {
		return fmt.Errorf("reload log level: %w", err)
	}
	log.SetLevel(o.logs.Level)
	return nil
}

func defaultDataDir(f *factory) string {
	return f.ownDir("/var/lib/arc", "XDG_STATE_HOME", ".local/state")
}
