package coordinator

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// The search by addresses and the one by discovery complain at once; together
// they warn once.
func TestBothSearchesComplain(t *testing.T) {
	var out bytes.Buffer
	o := testOptions(t, "n1")
	o.Logger = hclog.New(&hclog.LoggerOptions{Output: &out, Level: hclog.Debug})
	j := &joiner{n: newNode(o)}
	const each = 50
	var searches sync.WaitGroup
	for _, via := range []string{"--join", "discovery"} {
		searches.Go(func() {
			for range each {
				j.complain(errors.New("nobody there"), via, "again")
			}
		})
	}
	searches.Wait()
	if warned, said := strings.Count(out.String(), "[WARN]"), strings.Count(out.String(), "nobody there"); warned != 1 || said != 2*each {
		t.Errorf("%d warnings of %d complaints, want 1 of %d", warned, said, 2*each)
	}
}
