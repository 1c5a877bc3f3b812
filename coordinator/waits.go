package coordinator

import (
	"fmt"
	"strings"
	"time"
)

// formerPatience is how long a node that looks for its former ring waits before
// it says on whose disks that was.
const formerPatience = 3 * time.Second

// namedMost is how many members of its former ring it names.
const namedMost = 16

// waits publishes whom this node's ring needs before it can join it, as far as
// the refusal of its join tells: text is of a member that knows no leader.
func (n *node) waits(err error, text, via string) {
	if reasonOf(err) == "NO_LEADER" {
		// The member says whose disks are needed.
		text = strings.TrimPrefix(strings.TrimSuffix(text, "; try again"), ErrNoLeader.Error()+": ")
		n.nowWaits(fmt.Sprintf("a member of its ring answers at %s: %s", via, text))
	}
}

// waitsForFormer says, while nobody that has the ring answers, on whose disks it
// was when this node left it, and where those members were.
func (n *node) waitsForFormer(f former) {
	others := f.whereabouts()
	if f.ringID == "" || len(others) == 0 || n.hub.views.load().waitsFor != "" {
		return
	}
	disks, advice := "the disk of", "start it"
	if len(others) > 1 {
		disks, advice = "the disks of", "start the one of them that ended last first"
	}
	if k := len(others) - namedMost; k > 1 {
		others = append(others[:namedMost], fmt.Sprintf("%d more", k))
	}
	n.nowWaits(fmt.Sprintf("it left ring %s, which is on %s %s as far as it knows: %s (if a disk is lost: arc recover)", f.ringID, disks, strings.Join(others, ", "), advice))
}

// nowWaits publishes it, and logs it when it is new.
func (n *node) nowWaits(text string) {
	old := n.hub.views.load()
	if old.id != 0 || old.waitsFor == text || old.phase != joining && old.phase != founding {
		return
	}
	v := *old
	v.waitsFor = text
	n.hub.publish(&v, nil)
	n.log.Warn("this node waits for its ring", "ring", v.ringID, "reason", text)
}
