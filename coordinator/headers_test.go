package coordinator

import (
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/net/http2"

	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/testserver"
)

// Headers that are too long end their call, and nothing else.
func TestHeadersAreBounded(t *testing.T) {
	n1 := startRing(t, "n1")[0]
	conn, err := net.Dial("unix", filepath.Join(n1.o.RunDir, socketName))
	if err != nil {
		t.Fatal(err)
	}
	r := testserver.NewRaw(t, conn)
	r.Open(1, "/arc.v1.ArcService/Watch", limits.Headers)
	if ended := r.Sync(); len(ended) != 0 {
		t.Errorf("%d bytes of headers: ended %v", limits.Headers, ended)
	}
	r.Open(3, "/arc.v1.ArcService/Watch", limits.Headers+1)
	if ended := r.Sync(); len(ended) != 1 || ended[3] != http2.ErrCodeFrameSize {
		t.Errorf("%d bytes of headers: ended %v", limits.Headers+1, ended)
	}
}
