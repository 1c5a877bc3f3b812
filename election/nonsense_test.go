package election_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/peerwire"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	"github.com/arc-ring/arc/ring"
)

// A forgery is one message in which one field has another value. It arrives
// right before the true one, from the same sender.
type forgery struct {
	// kind is the message's, nth counts those of the kind; path leads to the
	// field, and value is the number of the value that it gets.
	kind  string
	nth   int
	path  string
	value int
}

func (f forgery) String() string {
	return fmt.Sprintf("%s number %d, field %s, value %d", f.kind, f.nth, f.path, f.value)
}

// kindOf names what a message is, by the wire.
func kindOf(m election.Message) string {
	if m.Raft != nil {
		return m.Raft.GetType().String()
	}
	env := envelope(m)
	return string(env.WhichOneof(env.Descriptor().Oneofs().Get(0)).Name())
}

// envelope is what a message travels in. A last word has another one.
func envelope(m election.Message) protoreflect.Message {
	if m.Held != nil {
		return peerwire.EncodeHeld(*m.Held).ProtoReflect()
	}
	env, err := peerwire.Encode(m)
	if err != nil {
		panic(err)
	}
	return env.ProtoReflect()
}

// body is the message that has a body's fields: raft's own message for those.
func body(m election.Message) proto.Message {
	if m.Raft != nil {
		return proto.Clone(m.Raft)
	}
	r := envelope(m)
	return r.Get(r.WhichOneof(r.Descriptor().Oneofs().Get(0))).Message().Interface()
}

// decoded is what the receiver makes of a body's bytes.
func decoded(m election.Message, b proto.Message) (election.Message, error) {
	env := envelope(m)
	if m.Raft != nil {
		wire, err := proto.Marshal(b)
		if err != nil {
			panic(err)
		}
		env = (&peerv1.StreamRequest{Body: &peerv1.StreamRequest_Raft{Raft: wire}}).ProtoReflect()
	} else {
		env.Set(env.WhichOneof(env.Descriptor().Oneofs().Get(0)), protoreflect.ValueOfMessage(b.ProtoReflect()))
	}
	wire, err := proto.Marshal(env.Interface())
	if err != nil {
		return election.Message{}, err // not a text: it cannot be on the wire
	}
	env = env.New()
	if err := proto.Unmarshal(wire, env.Interface()); err != nil {
		return election.Message{}, err
	}
	d := election.Message{From: m.From, To: m.To}
	switch env := env.Interface().(type) {
	case *peerv1.StreamRequest:
		d, err = peerwire.Decode(env, m.From, m.To)
	case *peerv1.StreamResponse:
		var h election.Held
		h, err = peerwire.DecodeHeld(env.GetHeld())
		d.Held = &h
	}
	d.Incarnation = m.Incarnation
	return d, err
}

// fields calls f with every field of a message, those inside others included,
// and how to set it. New fields of the wire come in by themselves.
func fields(path string, m protoreflect.Message, f func(path string, fd protoreflect.FieldDescriptor, set func(protoreflect.Value))) {
	fds := m.Descriptor().Fields()
	for i := range fds.Len() {
		fd := fds.Get(i)
		here := path + "." + string(fd.Name())
		switch {
		case fd.IsList():
			list := m.Mutable(fd).List()
			if fd.Message() != nil {
				if n := list.Len(); n > 0 {
					fields(here, list.Get(n-1).Message(), f)
				}
				continue
			}
			f(here, fd, func(v protoreflect.Value) { list.Append(v) })
		case fd.Message() != nil:
			if m.Has(fd) {
				fields(here, m.Mutable(fd).Message(), f)
			}
		default:
			f(here, fd, func(v protoreflect.Value) { m.Set(fd, v) })
		}
	}
}

var (
	numbers = []uint64{0, 1, 2, 7, 1000, 1 << 20, 3_000_000_000, 1<<32 - 1, 1 << 33, 1 << 40, 1<<53 - 1, 1 << 62, math.MaxInt64, math.MaxUint64}
	blobs   = [][]byte{
		{0xff}, []byte("{"), []byte("null"), []byte(`{"ref":1}`), []byte(`{"settings":{"lease_ms":1}}`), []byte(`{"newer":{}}`),
		[]byte(`{"ring":{"ring_id":"r","highest_id":18446744073709551615,"epoch":18446744073709551615}}`), make([]byte, 70_000),
		{8, 3}, ring.Command{Settings: &ring.Settings{LeaseMS: 1}}.Encode(), ring.Command{Evict: &ring.Evict{ID: 1, Evidence: "hunch"}}.Encode(),
		(&ring.State{RingID: "r", HighestID: math.MaxUint64, Epoch: math.MaxUint64}).Snapshot(),
	}
	texts = []string{"", "x", "\x1b[2J", string(make([]byte, 2000)), "10.0.0.1:1", "\u202e"}
)

// values are the boundary values of a field.
func values(fd protoreflect.FieldDescriptor) []protoreflect.Value {
	var out []protoreflect.Value
	for _, n := range numbers {
		switch fd.Kind() {
		case protoreflect.Uint64Kind:
			out = append(out, protoreflect.ValueOfUint64(n))
		case protoreflect.Uint32Kind:
			out = append(out, protoreflect.ValueOfUint32(uint32(n)))
		case protoreflect.Int64Kind:
			out = append(out, protoreflect.ValueOfInt64(int64(n)))
		}
	}
	switch fd.Kind() {
	case protoreflect.EnumKind:
		for n := range protoreflect.EnumNumber(30) {
			out = append(out, protoreflect.ValueOfEnum(n))
		}
		out = append(out, protoreflect.ValueOfEnum(-1), protoreflect.ValueOfEnum(math.MaxInt32))
	case protoreflect.BoolKind:
		out = append(out, protoreflect.ValueOfBool(false), protoreflect.ValueOfBool(true))
	case protoreflect.BytesKind:
		for _, b := range blobs {
			out = append(out, protoreflect.ValueOfBytes(b))
		}
	case protoreflect.StringKind:
		for _, s := range texts {
			out = append(out, protoreflect.ValueOfString(s))
		}
	}
	if len(out) == 0 {
		panic("no values for a field of kind " + fd.Kind().String())
	}
	return out
}

// forge returns the message with the field changed, nil if the receiver does
// not let it in.
func (f forgery) forge(m election.Message) *election.Message {
	b := body(m)
	fields("", b.ProtoReflect(), func(path string, fd protoreflect.FieldDescriptor, set func(protoreflect.Value)) {
		if path == f.path {
			set(values(fd)[f.value])
		}
	})
	d, err := decoded(m, b)
	if err != nil {
		return nil
	}
	return &d
}

// forgeries are all that can be made of a message.
func forgeries(m election.Message, nth int) (all []forgery) {
	kind := kindOf(m)
	fields("", body(m).ProtoReflect(), func(path string, fd protoreflect.FieldDescriptor, _ func(protoreflect.Value)) {
		for i := range values(fd) {
			all = append(all, forgery{kind: kind, nth: nth, path: path, value: i})
		}
	})
	return all
}

// life is a ring's life in which every kind of message is sent: to a ring of
// three comes a fourth, settings change, one is suspected, one hands over, one
// leaves, and two leaders die, the second without a certificate. Some messages are
// sent for no reason. The messages count from the fourth on.
func life(t *testing.T, w *world, forge func(election.Message) *election.Message) {
	fast, err := ring.ProfileSettings("fast")
	if err != nil {
		t.Fatal(err)
	}
	w.form(t, fast, 60*time.Millisecond, "a", "b", "c")
	w.forge = forge
	_ = w.join("d", ring.Member{}) // a forgery may have deposed the leader
	w.run(60 * time.Millisecond)
	fast.Misses++
	w.ask(election.Request{Settings: &fast})
	w.run(100 * time.Millisecond)
	w.suspect("b", "c", ring.Silent)
	w.run(100 * time.Millisecond)
	c := w.nodes["c"]
	w.say("b", "a", election.Message{Unwatched: &election.Unwatched{}})
	w.say("a", "b", election.Message{Inspect: &election.Inspect{ID: c.id, Incarnation: c.inc}})
	w.say("b", "c", election.Message{Held: &election.Held{RingID: "r", ID: c.id, Incarnation: c.inc, By: 7, Addresses: []string{"x:1"}}})
	w.run(100 * time.Millisecond)
	w.ask(election.Request{Handover: &election.Handover{To: 2}})
	w.run(400 * time.Millisecond)
	w.ask(election.Request{Leave: &ring.Leave{ID: 4}})
	w.run(200 * time.Millisecond)
	for _, certify := range []bool{true, false} {
		if who := w.claimer(); who != "" {
			w.kill(who, certify, "")
			w.run(600 * time.Millisecond)
			w.restart(who)
			w.run(300 * time.Millisecond)
		}
	}
}

// say lets one send a message to another that it has no reason for.
func (w *world) say(from, to string, m election.Message) {
	f, t := w.nodes[from], w.nodes[to]
	m.From, m.To = f.id, t.id
	if f.up && t.up {
		w.effect(f, election.Send{Message: m})
	}
}

// ask sends a request to the leader, and does not wait.
func (w *world) ask(r election.Request) {
	if l := w.leader(); l != nil {
		w.refs++
		r.Ref = w.refs
		w.to(l, func(now election.Instant) { l.n.Request(now, r) })
	}
}

// claimer returns the name of who claims now, and fails if two do.
func (w *world) claimer() string {
	who := ""
	for _, name := range w.order {
		if _, _, ok := claimOf(w.nodes[name], w.now); ok {
			who = name
		}
	}
	return who
}

// awaitClaim lets time pass until somebody claims, for at most d.
func (w *world) awaitClaim(d time.Duration) string {
	for end := w.now.Add(d); w.now < end; w.run(time.Millisecond) {
		if who := w.claimer(); who != "" {
			return who
		}
	}
	return ""
}

// absurd says what on a disk no ring ever has, or "".
func (d *disk) absurd() string {
	switch {
	case d.hard.GetTerm() > election.MaxTerm-1<<31:
		return fmt.Sprintf("term %d", d.hard.GetTerm())
	case d.bound > ring.LongestLease:
		return fmt.Sprintf("a promise of %v", d.bound)
	case d.snap.GetMetadata().GetIndex() >= election.IndexLimit:
		return fmt.Sprintf("a snapshot at index %d", d.snap.GetMetadata().GetIndex())
	}
	for _, e := range d.entries {
		if e.GetIndex() >= election.IndexLimit || e.GetTerm() > d.hard.GetTerm() {
			return fmt.Sprintf("entry %d of term %d", e.GetIndex(), e.GetTerm())
		}
	}
	return ""
}

// survives lives a life with one forgery in it, and returns what went wrong.
func (f forgery) survives(t *testing.T) (wrong string) {
	w := newWorld()
	w.quiet = true
	count, forged := 0, false
	forge := func(m election.Message) *election.Message {
		if forged || kindOf(m) != f.kind {
			return nil
		}
		if count++; count <= f.nth {
			return nil
		}
		forged = true
		return f.forge(m)
	}
	defer func() {
		if r := recover(); r != nil {
			wrong = fmt.Sprintf("panic: %v", r)
		}
	}()
	life(t, w, forge)
	for _, name := range w.order {
		if what := w.nodes[name].disk.absurd(); what != "" {
			return fmt.Sprintf("%s has on its disk %s", name, what)
		}
	}
	// One lease for a promise of its own choosing is what a forged renewal can
	// cost, and one for an election that it disturbs.
	bound := w.settings().FailoverBound(w.settings().Assume()) + 3*w.settings().Lease()
	who := w.awaitClaim(bound)
	if who == "" {
		return fmt.Sprintf("nobody claims within %v\n%s", bound, w.status())
	}
	w.kill(who, true, "")
	if next := w.awaitClaim(bound); next == "" {
		return fmt.Sprintf("nobody follows %s within %v\n%s", who, bound, w.status())
	}
	w.restart(who)
	w.run(w.settings().Lease())
	for _, name := range w.order {
		if nd := w.nodes[name]; nd.disk.hard != nil {
			w.restart(name)
		}
	}
	if who := w.awaitClaim(bound + w.settings().Lease()); who == "" {
		return fmt.Sprintf("nobody claims within %v after a restart of all\n%s", bound, w.status())
	}
	return ""
}

func (w *world) settings() ring.Settings {
	for _, name := range w.order {
		if nd := w.nodes[name]; nd.up && nd.n.State().RingID != "" {
			return nd.n.State().Settings
		}
	}
	panic("nobody is in the ring")
}

// Whatever value any field of any message has, no member panics, nothing that
// no ring has reaches a disk, the ring goes on within its bound, and starts
// again from its disks.
func TestNoFieldOfAnyMessageHurtsTheRing(t *testing.T) {
	var all []forgery
	w := newWorld()
	w.quiet = true
	seen := map[string]int{}
	life(t, w, func(m election.Message) *election.Message {
		kind := kindOf(m)
		// The first one, and a later one, when the ring is whole.
		if n := seen[kind]; n == 0 || n == 9 {
			all = append(all, forgeries(m, n)...)
		}
		seen[kind]++
		return nil
	})
	for _, kind := range []string{"MsgApp", "MsgAppResp", "MsgVote", "MsgVoteResp", "MsgPreVote", "MsgPreVoteResp", "MsgHeartbeat", "MsgHeartbeatResp", "MsgSnap", "MsgTimeoutNow",
		"renew", "renew_ack", "opinion", "certificate", "release", "check", "return", "takeover", "evicted", "held", "inspect", "unwatched"} {
		if seen[kind] == 0 {
			t.Errorf("no %s is sent in this life: %v", kind, seen)
		}
	}
	part := 1
	if testing.Short() {
		part = 8
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	all = all[:len(all)/part]
	t.Logf("%d forgeries", len(all))
	failed := 0
	for _, f := range all {
		if wrong := f.survives(t); wrong != "" {
			if t.Errorf("%v: %s", f, wrong); failed > 20 {
				t.FailNow()
			}
			failed++
		}
	}
}

// A renewal that asks for more than the lease that is committed binds its voter
// for no longer than that, and the ack says so. A ring whose voters promised
// fifty minutes would have no failover for so long, not even after a restart.
func TestNobodyPromisesMoreThanTheLease(t *testing.T) {
	fast, err := ring.ProfileSettings("fast")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	w.quiet = true
	w.form(t, fast, 60*time.Millisecond, "a", "b", "c")
	told := time.Duration(0)
	w.forge = func(m election.Message) *election.Message {
		if m.RenewAck != nil {
			told = max(told, m.RenewAck.Lease)
		}
		if m.Renew == nil {
			return nil
		}
		forged := *m.Renew
		forged.Lease, forged.Seq = 50*time.Minute, m.Renew.Seq+1<<40
		m.Renew = &forged
		return &m
	}
	w.run(time.Second)
	w.forge = nil
	if told != fast.Lease() {
		t.Errorf("the acks say that %v was promised, want %v", told, fast.Lease())
	}
	for _, name := range w.order {
		if b := w.nodes[name].disk.bound; b > fast.Lease() {
			t.Errorf("%s has a promise of %v on its disk", name, b)
		}
	}
	w.kill("a", false, "")
	if who := w.awaitClaim(fast.FailoverBound(fast.Assume()) + fast.Lease()); who == "" {
		t.Errorf("nobody follows:\n%s", w.status())
	}
}
