package coordinator

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/election"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// A copy of a directory whose member runs is refused before it has been that member
// for a moment, also if it does not know where the member is now: others do.
func TestACopyAsksBeforeItIsTheMember(t *testing.T) {
	for name, moves := range map[string]bool{"the member is where it was": false, "the member has moved": true} {
		t.Run(name, func(t *testing.T) {
			nodes := startRing(t, "n1", "n2", "n3")
			n3 := nodes[2]
			n3.awaitLeader("n1", 3)
			saved := filepath.Join(t.TempDir(), "data")
			if err := os.CopyFS(saved, os.DirFS(n3.o.DataDir)); err != nil {
				t.Fatal(err)
			}
			if moves {
				n3.crash()
				n3 = start(t, n3.o) // at another port
				for _, o := range nodes[:2] {
					o.await("n3 is recorded where it is", func(st *arcv1.StatusResponse) bool {
						return slices.Contains(st.GetMembers()[2].GetAddresses(), n3.address())
					})
				}
			}
			var log bytes.Buffer
			for range 5 { // a machine that is busy may answer too late
				o := testOptions(t, "n3")
				o.Join = n3.o.Join
				if err := os.CopyFS(o.DataDir, os.DirFS(saved)); err != nil {
					t.Fatal(err)
				}
				log.Reset()
				o.Logger = hclog.New(&hclog.LoggerOptions{Output: &log})
				copied := start(t, o)
				<-copied.ended
				if !errors.Is(copied.err, election.ErrSuperseded) {
					t.Fatalf("the copy ends with %v", copied.err)
				}
				if !strings.Contains(log.String(), "member of the ring") && strings.Contains(copied.err.Error(), n3.address()) {
					return
				}
			}
			t.Errorf("the copy was the member for a while:\n%s", log.String())
		})
	}
}
