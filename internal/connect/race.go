package connect

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/arc-ring/arc/internal/connect/policy"
)

// Error says why no address could be reached.
type Error struct{ errs []error }

func (e *Error) Error() string {
	texts := make([]string, len(e.errs))
	for i, err := range e.errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the errors of all addresses.
func (e *Error) Unwrap() []error { return e.errs }

// telling is the error without own addresses, which the other side may have too, if
// anything else failed.
func (e *Error) telling() error {
	errs := slices.DeleteFunc(slices.Clone(e.errs), func(err error) bool { return errors.Is(err, ErrOwn) })
	switch {
	case len(e.errs) == 0:
		return errors.New("no address is known")
	case len(errs) == 0:
		return e
	}
	return &Error{errs}
}

// Race tries all addresses at once, each on a goroutine of its own, and returns
// what the first good try came to. The others are ended then; what they come to
// all the same is given to drop. All tries have returned when Race does. The error
// wraps those of all tries.
func Race[T any](ctx context.Context, addresses []string, try func(ctx context.Context, addr string) (T, error), drop func(T)) (first T, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		try uint64
		got T
		err error
	}
	results, failed := make(chan result, len(addresses)), &Error{}
	c := policy.New(policy.Rules{Once: true}, nil)
	c.Begin(0)
	for _, a := range c.Tick(0, policy.Sight{Addresses: addresses}) {
		go func() {
			got, err := try(ctx, a.Address)
			results <- result{a.Try, got, err}
		}()
	}
	for range addresses {
		r := <-results
		switch {
		case r.err != nil:
			c.Failed(0, r.try, Reason(r.err))
			failed.errs = append(failed.errs, r.err)
		case c.State() == policy.Up:
			drop(r.got)
		default:
			c.Won(r.try)
			first = r.got
			cancel()
		}
	}
	if c.State() != policy.Up {
		return first, failed.telling()
	}
	return first, nil
}

// First returns a connection, as of Over, to whichever of the addresses answers
// first. The caller closes it.
func (d *Dialer) First(ctx context.Context, addresses []string) (*grpc.ClientConn, error) {
	return Race(ctx, addresses, func(ctx context.Context, addr string) (*grpc.ClientConn, error) {
		conn, err := d.Net(ctx, addr)
		if err != nil {
			return nil, err
		}
		return d.Over(conn, addr)
	}, func(late *grpc.ClientConn) { _ = late.Close() }) // it may be closed already
}

// Wait waits for d; false if ctx ends first.
func Wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// Notify leaves a token, unless one is there that nobody has taken yet.
func Notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
