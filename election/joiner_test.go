package election_test

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/ring"
)

// A joiner ends before anything of the ring reached its disk, and is started again.
// It does not know the ring that it is a member of, and is let in all the same.
func TestAJoinerThatStartsAgainEmptyHanded(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), 200*time.Millisecond, "a", "b", "c")
	w.cut[[2]string{"a", "d"}] = true
	if err := w.join("d", ring.Member{}); err != nil {
		t.Fatal(err)
	}
	w.run(100 * time.Millisecond)
	w.kill("d", false, "")
	w.run(100 * time.Millisecond)
	clear(w.cut)
	w.restart("d")
	w.run(10 * time.Second)
	d := w.nodes["d"]
	m, ok := d.n.State().Member(d.id)
	if !ok || m.Incarnation != d.inc {
		t.Errorf("d knows itself as %+v\n%s%s", m, w.out.String(), w.status())
	}
}
