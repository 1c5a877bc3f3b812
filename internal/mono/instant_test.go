package mono

import (
	"testing"
	"time"
)

func TestInstant(t *testing.T) {
	at := Instant(5 * time.Second)
	if later := at.Add(time.Second); later <= at || later.Sub(at) != time.Second || later.Add(-time.Second) != at {
		t.Errorf("%v and a second is %v", at, later)
	}
	if got := at.String(); got != "5s" {
		t.Errorf("String() = %q", got)
	}
}
