package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/client"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

func newLeaveCmd(f *factory) *cobra.Command {
	return &cobra.Command{
		Use:   "leave",
		Short: "Take the asked coordinator out of the ring",
		Long: `Takes the asked coordinator out of the ring. A leader hands over first. Returns
when the change is committed. Its process ends then, and joins again when
it is started. Its name keeps its place in the history.`,
		Example: `  arc leave
  arc --addr 10.0.0.5:7400 leave`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd, f, (*client.Client).Leave, func(w io.Writer, r *arcv1.LeaveResponse) {
				line(w, "left, epoch %d", r.GetEpoch())
			})
		},
	}
}
