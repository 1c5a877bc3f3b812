package client_test

import (
	"context"
	"fmt"
	"time"

	"github.com/arc-ring/arc/client"
)

// leadsUntil returns until when this machine is sure to lead, the zero time if it
// does not lead. It counts from before the question, since the answer may have been
// long on its way.
func leadsUntil(ctx context.Context, c *client.Client) (time.Time, error) {
	asked := time.Now()
	st, err := c.Status(ctx)
	if err != nil || !st.GetClaiming() {
		return time.Time{}, err
	}
	return asked.Add(time.Duration(st.GetLeaseMs() * float64(time.Millisecond))), nil
}

// What cannot check a token is guarded by time alone: ask before each step, and take
// it only if it is over before the lease is. A coordinator that was stopped sends no
// event, so a watch alone does not do.
func ExampleClient_Status_lease() {
	ring := startRing(7)
	defer ring.stop()
	c, err := client.New(ring.addr) // of a real ring: client.DefaultAddr()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close() }()

	const longestStep = 100 * time.Millisecond
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	until, err := leadsUntil(ctx, c)
	fmt.Println(err, time.Until(until) > longestStep)
	// Output: <nil> true
}
