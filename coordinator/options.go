package coordinator

import (
	"net/netip"

	"github.com/hashicorp/go-hclog"

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
	// Insecure allows addresses other than loopback without a secret.
	Insecure bool

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
