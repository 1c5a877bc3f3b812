package client_test

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/arc-ring/arc/client"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// lead calls work each time this machine leads, until ctx ends or c is closed. The
// context of work ends as soon as the leadership does, or may have; lead waits for
// work to return before it leads again.
func lead(ctx context.Context, c *client.Client, work func(ctx context.Context, token uint64)) error {
	for {
		st, err := c.AwaitLeader(ctx, true)
		if err != nil {
			return err
		}
		leading, stop := context.WithCancelCause(ctx)
		var working sync.WaitGroup
		working.Go(func() { work(leading, st.GetTerm()) })
		stop(lost(leading, c, st.GetTerm()))
		working.Wait()
	}
}

// lost returns why the coordinator no longer leads with this token, as soon as that
// is so. No news is no proof: an error of the stream is a reason too.
func lost(ctx context.Context, c *client.Client, token uint64) error {
	events, err := c.Watch(ctx)
	if err != nil {
		return err
	}
	defer events.Close()
	for {
		ev, err := events.Recv()
		if err != nil {
			return err
		}
		switch d := ev.GetDetail().(type) {
		case *arcv1.Event_Snapshot: // the first event: what was true when the stream began
			if st := d.Snapshot; !st.GetClaiming() || st.GetTerm() != token {
				return errors.New("lost before the watch began")
			}
		case *arcv1.Event_ClaimLost: // this coordinator has no lease
			return errors.New("claim lost: " + d.ClaimLost.GetWhy())
		case *arcv1.Event_LeaderLost: // the leader is gone, as far as this coordinator knows
			return errors.New("leader lost: " + d.LeaderLost.GetWhy())
		}
	}
}

// A store is what only the leader may write to. It keeps the highest token that it
// has seen, beside the value, and refuses lower ones.
type store struct {
	mu      sync.Mutex
	highest uint64
	value   string
}

func (s *store) write(token uint64, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token < s.highest {
		return fmt.Errorf("token %d is too old, there was %d", token, s.highest)
	}
	s.highest, s.value = token, value
	return nil
}

// A program that works while its machine leads. Here the machine leads with token
// 7, hands over, and leads again with token 9. In between another one leads with
// token 8.
func Example_lead() {
	ring := startRing(7, 9)
	defer ring.stop()
	c, err := client.New(ring.addr) // of a real ring: client.DefaultAddr()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close() }()

	var guarded store
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	err = lead(ctx, c, func(ctx context.Context, token uint64) {
		fmt.Println("leading with token", token)
		fmt.Println("write:", guarded.write(token, "by this machine"))
		if token == 9 {
			stop() // enough for an example
			return
		}
		ring.handOver()
		<-ctx.Done()
		fmt.Println("stopped") // context.Cause(ctx) says why
		_ = guarded.write(8, "by the next leader")
		fmt.Println("late write:", guarded.write(token, "too late"))
	})
	fmt.Println("ended:", errors.Is(err, context.Canceled))
	// Output:
	// leading with token 7
	// write: <nil>
	// stopped
	// late write: token 7 is too old, there was 8
	// leading with token 9
	// write: <nil>
	// ended: true
}
