package connect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRaceTakesTheFirstGoodAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dropped atomic.Int32
		got, err := Race(t.Context(), []string{"refuses", "late", "good", "silent"}, func(ctx context.Context, addr string) (string, error) {
			switch addr {
			case "refuses":
				return "", errors.New("refused")
			case "late": // it answers at the very end
				<-ctx.Done()
				return addr, nil
			case "good":
				<-time.After(time.Second)
				return addr, nil
			}
			<-ctx.Done()
			return "", ctx.Err()
		}, func(string) { dropped.Add(1) })
		if got != "good" || err != nil || dropped.Load() != 1 {
			t.Errorf("got %q, %v, and %d dropped; want the good one, and the late one dropped", got, err, dropped.Load())
		}
	})
}

func TestRaceSaysWhyAllFailed(t *testing.T) {
	own := fmt.Errorf("dial bridge: %w", ErrOwn)
	race := func(errs map[string]error, addresses ...string) error {
		_, err := Race(t.Context(), addresses, func(_ context.Context, addr string) (int, error) { return 0, errs[addr] }, func(int) {})
		return err
	}
	errs := map[string]error{"a": errors.New("a is silent"), "b": errors.New("b refuses"), "bridge": own}
	if err := race(errs, "a", "b", "bridge"); err == nil || !strings.Contains(err.Error(), "a is silent") || !strings.Contains(err.Error(), "b refuses") || errors.Is(err, ErrOwn) {
		t.Errorf("got %v, want why a and b failed, and no word of the own address", err)
	}
	if err := race(errs, "bridge"); !errors.Is(err, ErrOwn) {
		t.Errorf("got %v, want %v", err, ErrOwn)
	}
	if err := race(nil); err == nil || err.Error() != "no address is known" {
		t.Errorf("without an address: %v", err)
	}
}

func TestFirst(t *testing.T) {
	cc, err := new(Dialer).First(t.Context(), []string{"127.0.0.1:1", serve(t, "tcp", "127.0.0.1:0").Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	if err := check(t, cc); err != nil {
		t.Error(err)
	}
}
