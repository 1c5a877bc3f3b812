package coordinator

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/discovery"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/ring"
)

// Validate returns everything that is wrong with the options, joined; it wraps
// ErrUsage.
func (o *Options) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	errs = append(errs, foreign.CheckName("--name", o.Name), foreign.CheckName("--cluster", o.Cluster))
	if len(o.Bind) == 0 {
		bad("--bind is empty")
	}
	for _, a := range o.Bind {
		if !a.IsValid() {
			bad("--bind holds an address that is none")
			continue
		}
		if !a.IsLoopback() && !o.Insecure {
			bad("--bind %s can be reached from other machines, and there is no secret: give --insecure if everybody who reaches port %d may change the ring, or bind a loopback address", a, o.Port)
		}
	}
	if o.Port < 0 || o.Port > 65535 {
		bad("--port %d is not from 0 to 65535", o.Port)
	}
	if o.DataDir == "" {
		bad("--data-dir is empty")
	}
	if o.RunDir == "" {
		bad("--run-dir is empty")
	}
	if o.Bootstrap && o.Expect > 0 {
		bad("--bootstrap founds alone, --expect %d with others: give one of them", o.Expect)
	}
	if o.Expect < 0 || o.Expect > limits.Founders {
		bad("--expect %d is not from 0 to %d", o.Expect, limits.Founders)
	}
	if o.Expect > 1 && o.NoAutodiscovery {
		bad("--expect %d needs discovery: with --no-autodiscovery, start one node with --bootstrap and the others with --join", o.Expect)
	}
	if o.NoAutodiscovery && !o.Bootstrap && len(o.Join) == 0 && o.Expect != 1 {
		bad("--no-autodiscovery needs --join HOST:PORT of a member, or --bootstrap to found a ring")
	}
	for _, a := range o.Join {
		if err := foreign.CheckAddress(a); err != nil {
			bad("--join: %w", err)
		}
	}
	if o.Profile != "" {
		if _, err := ring.ProfileSettings(o.Profile); err != nil {
			bad("--profile: %w", err)
		}
	}
	if o.OnJoin != "" && o.OnJoin != ring.Stay && o.OnJoin != ring.Lead {
		bad("--on-join %s is neither stay nor lead", foreign.Quote(string(o.OnJoin)))
	}
	if o.Witness && o.OnJoin == ring.Lead {
		bad("--witness and --on-join lead: a witness never leads")
	}
	if o.Witness && o.Bootstrap {
		bad("--witness and --bootstrap: a ring cannot be founded by a member that never leads")
	}
	if o.Witness && o.Expect == 1 {
		bad("--witness and --expect 1: a ring cannot be founded by a member that never leads")
	}
	if len(o.MonitorCommand) == 0 {
		bad("no monitor command")
	}
	if err := errors.Join(errs...); err != nil {
		return reason.Usagef("%w", err)
	}
	return nil
}

// checkInterfaces refuses a wrong --interface before any directory is made.
func (o *Options) checkInterfaces() error {
	if o.NoAutodiscovery {
		return nil
	}
	if err := discovery.CheckInterfaces(o.Interfaces); err != nil {
		return discoveryError(err)
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

// exposed reports whether other machines reach this node without any proof of
// who they are.
func (o *Options) exposed() bool {
	for _, a := range o.Bind {
		if !a.IsLoopback() {
			return true
		}
	}
	return false
}

func joinAddrs(bind []netip.Addr) string {
	texts := make([]string, len(bind))
	for i, a := range bind {
		texts[i] = a.String()
	}
	return strings.Join(texts, ",")
}
