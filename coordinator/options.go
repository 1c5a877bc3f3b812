package coordinator

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/discovery"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/trust"
	"github.com/arc-ring/arc/internal/wal"
	"github.com/arc-ring/arc/ring"
)

// DefaultPort is the TCP port of the gRPC server and the UDP port of
// discovery.
const DefaultPort = 7400

// Options is what Run needs. The command line fills it; see `arc coordinator
// --help` for the meaning in words.
type Options struct {
	// Name is the node's stable name, unique in the ring; Cluster the ring's.
	Name    string
	Cluster string
	// Bind lists the addresses to listen on, and to advertise; unspecified
	// ones stand for all addresses of the machine. Port may be 0 in tests.
	Bind []netip.Addr
	Port int
	// DataDir holds the log; RunDir arc.sock and the pid files. Both are
	// locked while the coordinator runs.
	DataDir string
	RunDir  string

	// Bootstrap founds a ring alone; Expect > 0 founds one with so many
	// nodes. Both matter only while DataDir holds no ring.
	Bootstrap bool
	Expect    int
	// Join lists HOST:PORT of members to ask without discovery.
	Join            []string
	NoAutodiscovery bool
	// DiscoveryPort is the UDP port, shared by all coordinators of a host.
	DiscoveryPort int
	// Interfaces limits discovery to these; empty means all that are up.
	Interfaces []string

	// Profile names the settings of a ring founded here.
	Profile string
	OnJoin  ring.OnJoin
	Witness bool
	// Realtime says that this process runs under a realtime policy already. It
	// is only told on; the monitor inherits it.
	Realtime bool
	// Keys are the files with this node's keys. Without any the network is in the
	// clear: then Insecure allows addresses other than loopback, and changes that come
	// over the network.
	Keys     trust.Files
	Insecure bool
	// UnusedSecret is the secret file that is there, and that Insecure goes without; ""
	// for none. It is only told of.
	UnusedSecret string

	// MonitorCommand starts the monitor; the queue is its fd 3. MonitorImage, if
	// not empty, is the file that is executed in place of the command's first
	// word: one that is there for as long as this process.
	MonitorCommand []string
	MonitorImage   string
	Version        string
	Logger         hclog.Logger
	// ReloadLogLevel is called at SIGHUP to reload the level; may be nil.
	ReloadLogLevel func() error
}

// Validate returns everything that is wrong with the options, joined; it wraps
// ErrUsage. It looks whether DataDir holds a ring: that keeps a name which a new
// ring could not get.
func (o *Options) Validate() error {
	var errs []error
	bad := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	name, cluster := foreign.CheckName, foreign.CheckName
	if holds, err := wal.Holds(o.DataDir); !holds && (err == nil || errors.Is(err, fs.ErrNotExist)) {
		name = foreign.CheckNewName
		if o.Bootstrap || o.Expect > 0 {
			cluster = foreign.CheckNewName
		}
	}
	errs = append(errs, name("--name", o.Name), cluster("--cluster", o.Cluster))
	bad(len(o.Bind) == 0, "--bind is empty")
	errs = append(errs, checkBind(o.Bind)...)
	secure := o.Keys != (trust.Files{})
	for _, a := range o.Bind {
		bad(a.IsValid() && !a.IsLoopback() && !o.Insecure && !secure,
			"--bind %s can be reached from other machines, and there is no secret: make one with `arc secret new` and copy it to all machines, or give --insecure if everybody who reaches port %d may change the ring", a, o.Port)
	}
	bad(o.Insecure && secure, "--insecure goes without any secret, and there is one: give one of the two")
	bad(o.Keys.Own() && o.Keys.Secret == "" && !o.NoAutodiscovery,
		"--tls-cert without --secret-file needs --no-autodiscovery: a certificate cannot authenticate the datagrams of discovery")
	bad(o.Port < 0 || o.Port > 65535, "--port %d is not from 0 to 65535", o.Port)
	bad(o.DataDir == "", "--data-dir is empty")
	bad(o.RunDir == "", "--run-dir is empty")
	bad(o.Bootstrap && o.Expect > 0, "--bootstrap founds alone, --expect %d with others: give one of them", o.Expect)
	bad(o.Expect < 0 || o.Expect > limits.Founders, "--expect %d is not from 0 to %d", o.Expect, limits.Founders)
	bad(o.Expect > 1 && o.NoAutodiscovery,
		"--expect %d needs discovery: with --no-autodiscovery, start one node with --bootstrap and the others with --join", o.Expect)
	bad(o.NoAutodiscovery && !o.Bootstrap && len(o.Join) == 0 && o.Expect != 1,
		"--no-autodiscovery needs --join HOST:PORT of a member, or --bootstrap to found a ring")
	for _, a := range o.Join {
		err := foreign.CheckAddress(a)
		bad(err != nil, "--join: %w", err)
	}
	if o.Profile != "" {
		_, err := ring.ProfileSettings(o.Profile)
		bad(err != nil, "--profile: %w", err)
	}
	bad(o.OnJoin != "" && o.OnJoin != ring.Stay && o.OnJoin != ring.Lead, "--on-join %s is neither stay nor lead", foreign.Quote(string(o.OnJoin)))
	bad(o.Witness && o.OnJoin == ring.Lead, "--witness and --on-join lead: a witness never leads")
	bad(o.Witness && o.Bootstrap, "--witness and --bootstrap: a ring cannot be founded by a member that never leads")
	bad(o.Witness && o.Expect == 1, "--witness and --expect 1: a ring cannot be founded by a member that never leads")
	bad(len(o.MonitorCommand) == 0, "no monitor command")
	if err := errors.Join(errs...); err != nil {
		return reason.Usagef("%w", err)
	}
	return nil
}

func discoveryError(err error) error {
	err = fmt.Errorf("start discovery: %w; --no-autodiscovery with --join does without", err)
	if errors.Is(err, discovery.ErrOptions) {
		return reason.Usagef("%w", err)
	}
	return err
}

func joinAddrs(bind []netip.Addr) string {
	return strings.Join(ring.Each(bind, netip.Addr.String), ",")
}

// ErrUsage: the options contradict themselves or what is on the disk.
var ErrUsage = reason.ErrUsage
