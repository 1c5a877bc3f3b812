package arctest

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/trust"
)

// A flooder is this program, started again on a host of the lab: a process of its
// own, which floods instead of testing. A lookout is the same, and looks on.
var flooderOrder = flag.String("flooder", "", "flood, or look on, instead of testing, as the JSON says")

// order says what is flooded, and how.
type order struct {
	// Kind is one of floods, or lookout.
	Kind string
	// At is the coordinator's TCP address; hellos go to the same UDP port.
	At  netip.AddrPort
	For time.Duration
	// From are the addresses that connections are made from, in turn.
	From []netip.Addr
	// RingID, Leader and Member are what an eavesdropper knows: the ring, and the names
	// of its leader and of another member.
	RingID, Leader, Member string
	// Certificate is a file with a client's certificate; without one a request is made in
	// the clear.
	Certificate string
	// Pause is how long what the coordinator ended rests until it is begun again.
	Pause time.Duration
}

// lookout is the kind of order that floods nothing.
const lookout = "lookout"

// done is what a flood did, or a lookout saw.
type done struct {
	// Sent counts datagrams, Begun connections or requests. Ended counts those of them
	// that the coordinator ended or refused; Most is how many there were at once.
	Sent, Begun, Ended, Most int64
	// Read counts the frames of HTTP/2 that came.
	Read int64
	// Failed counts connects that failed, and LastFailure is why the last one did.
	Failed      int64
	LastFailure string

	// Calls is how long status calls at the coordinator's socket took, each on a
	// connection of its own. Stood is for how long at most the lookout was not woken
	// although it was due.
	Calls []time.Duration
	Stood time.Duration
}

func (d done) String() string {
	var b strings.Builder
	for _, figure := range []struct {
		n    int64
		what string
	}{{d.Sent, "datagrams sent"}, {d.Begun, "begun"}, {d.Most, "at once"}, {d.Ended, "ended by the coordinator"}, {d.Read, "frames read"}, {d.Failed, "failed to connect"}} {
		if figure.n > 0 {
			fmt.Fprintf(&b, ", %d %s", figure.n, figure.what)
		}
	}
	if d.LastFailure != "" {
		fmt.Fprintf(&b, " (%s)", d.LastFailure)
	}
	return strings.TrimPrefix(b.String(), ", ")
}

// floods are the kinds, by name.
var floods = map[string]func(*flooder, context.Context) error{
	"hellos":     (*flooder).hellos,
	"half-open":  (*flooder).halfOpen,
	"half-tls":   (*flooder).halfTLS,
	"unfinished": (*flooder).unfinished,
	"watches":    (*flooder).watches,
}

// flooder carries out an order.
type flooder struct {
	order
	holder                           *trust.Holder // nil without a certificate
	sent, begun, ended, read, failed atomic.Int64

	mu          sync.Mutex
	now, most   int64
	lastFailure string

	// Of a lookout alone.
	calls []time.Duration
	stood time.Duration
}

// runFlooder is the flooder's main function.
func runFlooder(text string) int {
	f := &flooder{}
	if err := json.Unmarshal([]byte(text), &f.order); err != nil {
		fmt.Fprintln(os.Stderr, "read the order:", err)
		return 2
	}
	if f.Certificate != "" {
		var err error
		if f.holder, err = trust.OpenClient(f.Certificate); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
	}
	flood, ok := floods[f.Kind]
	if f.Kind == lookout {
		flood, ok = (*flooder).lookOut, true
	}
	if !ok {
		fmt.Fprintf(os.Stderr, "flood %q is not one of %s\n", f.Kind, strings.Join(slices.Sorted(maps.Keys(floods)), ", "))
		return 2
	}
	ctx, cancel := context.WithTimeout(context.Background(), f.For)
	defer cancel()
	if err := flood(f, ctx); err != nil {
		fmt.Fprintln(os.Stderr, f.Kind+":", err)
		return 1
	}
	did := done{
		Sent: f.sent.Load(), Begun: f.begun.Load(), Ended: f.ended.Load(), Most: f.most, Read: f.read.Load(),
		Failed: f.failed.Load(), LastFailure: f.lastFailure, Calls: f.calls, Stood: f.stood,
	}
	if err := json.NewEncoder(os.Stdout).Encode(did); err != nil {
		return 1
	}
	return 0
}

// hold keeps n attacks going until ctx ends. An attack returns when the coordinator
// has ended it.
func (f *flooder) hold(ctx context.Context, n int, attack func(ctx context.Context, i int)) {
	var all sync.WaitGroup
	defer all.Wait()
	for i := range n {
		all.Go(func() {
			for ctx.Err() == nil {
				attack(ctx, i)
				if ctx.Err() == nil {
					f.ended.Add(1)
				}
				connect.Wait(ctx, f.Pause)
			}
		})
	}
}

// count counts n more that are under way, or fewer.
func (f *flooder) count(n int64) {
	if n > 0 {
		f.begun.Add(n)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now += n
	f.most = max(f.most, f.now)
}

// fail notes an error, unless it comes of the end.
func (f *flooder) fail(ctx context.Context, err error) {
	if end, _ := ctx.Deadline(); err == nil || !time.Now().Before(end) {
		return
	}
	f.failed.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lastFailure = err.Error()
}

// lookOut asks for the status at the local socket until ctx ends, and watches its own
// clock.
func (f *flooder) lookOut(ctx context.Context) error {
	var looking sync.WaitGroup
	defer looking.Wait()
	looking.Go(func() {
		const every = 5 * time.Millisecond
		for last := time.Now(); connect.Wait(ctx, every); last = time.Now() {
			f.stood = max(f.stood, time.Since(last)-every)
		}
	})
	ask := func() error {
		c, err := client.New("unix:///run/arc/" + client.SocketName)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Status(ctx)
		return err
	}
	for connect.Wait(ctx, 10*time.Millisecond) {
		asked := time.Now()
		f.fail(ctx, ask())
		f.calls = append(f.calls, time.Since(asked))
	}
	return nil
}
