package devring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/arc-ring/arc/ring"
)

var versionLine = regexp.MustCompile(`(?m)^(\tLogVersion +=) (\d+)$`)

// following is this program with the next version of the log, and nothing else
// changed: the smallest feature that waits for all members.
var following = sync.OnceValues(func() (string, error) {
	const source = "../../ring/version.go"
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	if at := versionLine.FindAllSubmatch(text, -1); len(at) != 1 || string(at[0][2]) != fmt.Sprint(ring.LogVersion) {
		return "", fmt.Errorf("%s has %d lines that set LogVersion to a number, want one, to %d", source, len(at), ring.LogVersion)
	}
	changed := filepath.Join(buildDir, "version.go")
	original, err := filepath.Abs(source)
	if err != nil {
		return "", err
	}
	overlay, _ := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}}) // text always encodes
	list := filepath.Join(buildDir, "overlay.json")
	if err := errors.Join(
		os.WriteFile(changed, versionLine.ReplaceAll(text, fmt.Appendf(nil, "$1 %d", ring.LogVersion+1)), 0o600),
		os.WriteFile(list, overlay, 0o600),
	); err != nil {
		return "", err
	}
	path := filepath.Join(buildDir, "arc-following")
	if out, err := exec.Command("go", "build", "-overlay", list, "-o", path, "../../cmd/arc").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ARC with log version %d: %w\n%s", ring.LogVersion+1, err, out)
	}
	return path, nil
})

// A ring switches a feature on when its last member has it, and not before: until
// then each member may go back, and a member without the feature may join. From
// then on neither is possible, and the refusal says what to do.
func TestAFeatureWaitsForTheLastMember(t *testing.T) {
	t.Parallel()
	now := binary(t)
	next, err := following()
	must(t, err)
	r, st := whole(t, Options{Nodes: 3, Profile: calm})
	nodes := leaderLast(r.Nodes(), st.GetLeader().GetName())
	guest, err := r.Add()
	must(t, err)

	for _, arc := range []string{next, now, next} { // up, back, up
		st = roll(t, r, st, nodes[0], arc)
	}
	roll(t, r, st, nodes[1], next)
	must(t, guest.Start())
	if joined := awaitRing(t, r, stepBound); member(joined, guest.name) == nil {
		t.Fatalf("%s cannot join: %s", guest.name, Picture(joined))
	}
	must(t, guest.Terminate(within(t, stepBound)))
	st = awaitRing(t, r, stepBound)

	refusal := fmt.Sprintf("the ring's log needs version %d, and the ARC of %q reads up to %d; install a newer one there", ring.LogVersion+1, guest.name, ring.LogVersion)
	st = roll(t, r, st, nodes[2], next)
	// The leader has to commit it first, and a guest that comes before that may join.
	must(t, r.Until(within(t, formBound), guest.name+" to be refused", func(ctx context.Context) error {
		mark := len(guest.LogTail(1 << 20))
		must(t, guest.Start())
		err := r.Until(ctx, "an answer to "+guest.name, func(ctx context.Context) error {
			if strings.Contains(guest.LogTail(1 << 20)[mark:], refusal) {
				return nil
			}
			if at, err := guest.Status(ctx); err == nil && at.GetPhase() == "member" {
				return nil
			}
			return errNotYet
		})
		if err != nil {
			return err
		}
		refused := strings.Contains(guest.LogTail(1 << 20)[mark:], refusal)
		if guest.Running() {
			must(t, guest.Terminate(within(t, stepBound)))
		}
		if !refused {
			return fmt.Errorf("%s joined", guest.name)
		}
		return nil
	}))
	awaitRing(t, r, stepBound)

	// There is no way back on the own disk either.
	back := nodes[2]
	must(t, back.Kill())
	awaitRing(t, r, stepBound)
	use(now, back)
	must(t, back.Start())
	must(t, back.Wait(within(t, stepBound)))
	if log, want := back.LogTail(1<<16), fmt.Sprintf("it needs an ARC that reads log version %d, this one reads up to %d", ring.LogVersion+1, ring.LogVersion); back.ExitCode() == 0 || !strings.Contains(log, want) {
		t.Errorf("the older ARC ends with code %d on the directory of a newer one, and does not say %q:\n%s", back.ExitCode(), want, log)
	}
	use(next, back, guest)
	must(t, back.Start())
	must(t, guest.Start())
	if after := awaitRing(t, r, stepBound); len(after.GetMembers()) != 4 || after.GetTerm() != st.GetTerm() {
		t.Errorf("at the end the ring is %s with token %d, want four with %d", Picture(after), after.GetTerm(), st.GetTerm())
	}
}
