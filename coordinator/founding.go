package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/discovery"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/membership"
	"github.com/arc-ring/arc/internal/plainfile"
	"github.com/arc-ring/arc/internal/wal"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	"github.com/arc-ring/arc/ring"
)

// found makes a ring of this node and of those who accepted it as the founder.
func (n *node) found(others []*discoveryv1.Node) (*entry, error) {
	profile := n.o.Profile
	if profile == "" {
		profile = ring.DefaultProfile
	}
	settings, err := ring.ProfileSettings(profile)
	if err != nil {
		return nil, reason.Usagef("--profile: %w", err)
	}
	f := ring.Found{
		Cluster: n.o.Cluster, RingID: fmt.Sprintf("%016x%016x", randomID(), randomID()), Settings: settings,
		Founder: ring.Member{Name: n.o.Name, Incarnation: n.incarnation, Addresses: n.reachedAt(), Witness: n.o.Witness, OnJoin: n.o.OnJoin, Version: n.o.Version, LogVersion: ring.LogVersion},
	}
	names := []string{n.o.Name}
	for _, o := range others {
		said, _ := n.acceptance.words.Load(o.Name)
		word, _ := said.(*peerv1.AcceptFounderResponse)
		onJoin, _ := ring.OnJoinOf(word.GetOnJoin()) // a newer one's wish is none here
		names = append(names, o.Name)
		f.Others = append(f.Others, ring.Member{Name: o.Name, Incarnation: o.Incarnation, Addresses: o.Addresses, Witness: o.Witness,
			OnJoin: onJoin, Nonce: word.GetNonce(), Version: n.o.Version, LogVersion: word.GetLogVersion()})
	}
	if n.discovery != nil {
		if err := n.discovery.Founding(names); err != nil {
			return nil, fmt.Errorf("%w: found a ring: %w", reason.ErrStorage, err)
		}
	}
	now := time.Now()
	n.warnOfPast(now)
	rec, err := election.Found(f, now.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("found a ring: %w", err)
	}
	id := wal.Identity{Cluster: n.o.Cluster, RingID: f.RingID, Name: n.o.Name, ID: 1}
	if err := n.disk.Init(id, wal.Batch{HardState: rec.HardState, Snapshot: rec.Snapshot, Sync: true}); err != nil {
		return nil, fmt.Errorf("%w: found a ring: %w", reason.ErrStorage, err)
	}
	n.log.Info("ring founded", "cluster", n.o.Cluster, "ring", f.RingID, "profile", profile, "names", names)
	return &entry{id: 1, ringID: f.RingID, recovered: rec}, nil
}

// acceptance is this node's part in foundings: the number under which it enters
// a ring, and the words that others gave it. That the ring of a founder may live
// without this node is what the file wordsName remembers.
type acceptance struct {
	mu    sync.Mutex
	entry membership.Entry
	// words are what nodes said that accepted this one as the founder, by name.
	words sync.Map
}

func (a *acceptance) nonce() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.entry.Number()
}

// renew makes the next entry another one.
func (a *acceptance) renew() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.entry.Renew(randomID)
}

// give returns the number for a founder that this node accepts.
func (a *acceptance) give(founder string, incarnation uint64) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.entry.Accept(founder, incarnation, randomID)
}

// acceptFounder answers Peer.AcceptFounder.
func (n *node) acceptFounder(r *peerv1.AcceptFounderRequest) (*peerv1.AcceptFounderResponse, error) {
	if n.discovery == nil {
		return &peerv1.AcceptFounderResponse{Reason: n.o.Name + " was started with --no-autodiscovery"}, nil
	}
	ok, reason, err := n.discovery.Accept(r)
	if err != nil {
		return nil, err
	}
	resp := &peerv1.AcceptFounderResponse{Accepted: ok, Reason: reason, OnJoin: n.o.OnJoin.Number(), LogVersion: ring.LogVersion}
	if ok {
		resp.Nonce = n.acceptance.give(r.GetFounder(), r.GetIncarnation())
	}
	return resp, nil
}

// askFounder is discovery's way to call AcceptFounder.
func (n *node) askFounder(ctx context.Context, address string, r *peerv1.AcceptFounderRequest) (bool, string, error) {
	conn, err := n.dialAny(ctx, []string{address})
	if err != nil {
		return false, "", err
	}
	defer conn.Close()
	var by peer.Peer
	resp, err := peerv1.NewPeerServiceClient(conn).AcceptFounder(ctx, r, grpc.Peer(&by))
	if !resp.GetAccepted() {
		return false, resp.GetReason(), err
	}
	if err := n.answers(&by, 0, r.GetTo()); err != nil {
		return false, "", err
	}
	n.acceptance.words.Store(r.GetTo(), resp)
	return true, resp.GetReason(), nil
}

// releasedAfter is a time at which this program did not exist yet. A build from
// a checkout knows better: Go puts the time of its commit into the binary.
var releasedAfter = time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)

// released returns the time before which this binary cannot have been started.
func released() time.Time {
	at := releasedAfter
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return at
	}
	for _, s := range info.Settings {
		if s.Key != "vcs.time" {
			continue
		}
		if t, err := time.Parse(time.RFC3339, s.Value); err == nil && t.After(at) {
			at = t
		}
	}
	return at
}

// warnOfPast says that the wall clock is wrong when a ring is founded. The first
// token is the time in seconds, so a ring that was lost with all its disks may
// have issued higher ones.
func (n *node) warnOfPast(now time.Time) {
	if since := released(); now.Before(since) {
		n.log.Warn("the clock of this machine is wrong: it shows a time before this program was made",
			"time", now.UTC().Format(time.RFC3339), "made", since.UTC().Format(time.RFC3339),
			"hint", "tokens begin at the Unix time; set the clock before a ring is founded that replaces a lost one")
	}
}

// wordsName is the file in the data directory that holds whom this node accepted
// as the founder of a ring, until it is in one that has a leader. Forgotten at a
// restart, one node's word could be counted in two rings.
const wordsName = "accepted-founders"

// wordsMost bounds the file, in bytes: discovery remembers 64 words of 256 names.
const wordsMost = 4 << 20

// keptWords is the file's content.
type keptWords struct {
	Cluster string           `json:"cluster"`
	Words   []discovery.Word `json:"words"`
}

func (n *node) wordsPath() string { return filepath.Join(n.o.DataDir, wordsName) }

// keepWords makes the words durable; it is discovery's Keep.
func (n *node) keepWords(words []discovery.Word) error {
	if len(words) == 0 {
		if err := os.Remove(n.wordsPath()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	text, err := json.Marshal(keptWords{n.o.Cluster, words})
	if err != nil {
		return fmt.Errorf("encode the words to founders: %w", err)
	}
	return plainfile.Replace(n.wordsPath(), append(text, '\n'), 0o600, true)
}

// readWords reads what keepWords wrote. Words given in another cluster are refused:
// this node could forget them in this one, and its disk be counted there twice.
func (n *node) readWords() ([]discovery.Word, error) {
	text, err := plainfile.ReadFile(n.wordsPath(), wordsMost)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read whom this node accepted as founder: %w", err)
	}
	var kept keptWords
	if err := json.Unmarshal(text, &kept); err != nil {
		return nil, fmt.Errorf("%s does not say whom this node accepted as founder: %w; if no ring was founded, remove it", n.wordsPath(), err)
	}
	if len(kept.Words) == 0 {
		return nil, nil
	}
	if kept.Cluster != n.o.Cluster {
		return nil, fmt.Errorf("%w: this node accepted a founder of cluster %s and never heard of its ring, now it is of cluster %q; "+
			"start it with the former --cluster; else, if no ring was founded there, remove %s, or choose another --data-dir",
			wal.ErrForeign, foreign.Quote(kept.Cluster), n.o.Cluster, n.wordsPath())
	}
	for _, w := range kept.Words {
		names := ring.Each(w.Names, func(name string) error { return foreign.CheckName("name", name) })
		if err := errors.Join(foreign.CheckName("founder", w.Founder), errors.Join(names...)); err != nil {
			return nil, fmt.Errorf("%s: %w; if no ring was founded, remove it", n.wordsPath(), err)
		}
	}
	return kept.Words, nil
}

// mayFoundAlone refuses to found without asking anybody what a word forbids.
func (n *node) mayFoundAlone() error {
	if len(n.words) == 0 {
		return nil
	}
	w := n.words[len(n.words)-1]
	return reason.Usagef("this node accepted %s as the founder of a ring with %s and never heard of it; a ring founded here could be a second one: join that one with --join, or, if it does not live, remove %s",
		w.Founder, strings.Join(w.Names, ", "), n.wordsPath())
}
