package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command notes a variable that is mistyped, once, and none that another
// command reads.
func TestEveryCommandNotesUnknownVariables(t *testing.T) {
	silent := map[string]bool{"arc monitor": true}
	walk(newRootCmd(testFactory()), func(cmd *cobra.Command) {
		if !cmd.Runnable() {
			return
		}
		if cmd != cmd.Root() && (cmd.PersistentPreRunE != nil || cmd.PersistentPreRun != nil) {
			t.Errorf("%s has a PersistentPreRun of its own, so that of the root does not run", cmd.CommandPath())
		}
		for environ, want := range map[string]string{
			"ARC_NAEM=x HOME=/ ARC_TIMEOUT=1s": "note: the environment has what is no option of arc: ARC_NAEM (did you mean ARC_NAME?); see arc help environment\n",
			"ARC_FLURB=x ARC_EXPCET=3":         "note: the environment has what is no option of arc: ARC_EXPCET (did you mean ARC_EXPECT?), ARC_FLURB; see arc help environment\n",
			"ARC_EXPECT=3 ARC_NODES=5 ARC_ADDR=a:1 ARC_RUN_DIR=/r ARC_CONFIG=f ARC_REALTIME=true ARC_REALTIME_PID=7": "",
		} {
			f := testFactory()
			var said bytes.Buffer
			f.err, f.environ = &said, func() []string { return strings.Fields(environ) }
			root := newRootCmd(f)
			found, _, err := root.Find(strings.Fields(cmd.CommandPath())[1:])
			if err != nil || found.CommandPath() != cmd.CommandPath() {
				t.Fatalf("%s is not found: %v", cmd.CommandPath(), err)
			}
			if err := root.PersistentPreRunE(found, nil); err != nil {
				t.Fatal(err)
			}
			if silent[cmd.CommandPath()] {
				want = ""
			}
			if said.String() != want {
				t.Errorf("%s with %s says %q, want %q", cmd.CommandPath(), environ, said.String(), want)
			}
		}
	})
}
