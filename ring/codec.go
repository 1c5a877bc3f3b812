package ring

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	ringv1 "github.com/arc-ring/arc/proto/arc/ring/v1"
)

// bodies are the commands that a log may hold.
var bodies = (*ringv1.Command)(nil).ProtoReflect().Descriptor().Oneofs().ByName("body")

// body returns the field of c that holds a command of that kind.
func (c *Command) body(kind protoreflect.FieldDescriptor) reflect.Value {
	return reflect.ValueOf(c).Elem().Field(kind.Index())
}

// kinds returns which commands c holds.
func (c *Command) kinds() (kinds []protoreflect.FieldDescriptor) {
	for i := range bodies.Fields().Len() {
		if kind := bodies.Fields().Get(i); !c.body(kind).IsNil() {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// Encode returns the bytes that go into the log. A Found is in no log.
func (c Command) Encode() []byte {
	p := &ringv1.Command{LogVersion: firstLogVersion, Ref: c.Ref}
	if c.Require != nil {
		p.LogVersion = max(firstLogVersion, c.Require.LogVersion)
	}
	for _, kind := range c.kinds() {
		body := p.ProtoReflect().Mutable(kind).Message().Interface()
		_ = fill(reflect.ValueOf(body).Elem(), c.body(kind).Elem())
	}
	return marshal(p)
}

// DecodeCommand is the inverse of Encode. It refuses a command of a newer log
// version, and anything but exactly one command. Fields that are not known are
// left out: what must not be left out comes with a newer version.
func DecodeCommand(b []byte) (Command, error) {
	c, err := decodeCommand(b)
	if err != nil {
		return Command{}, fmt.Errorf("decode ring command: %w", err)
	}
	return c, nil
}

func decodeCommand(b []byte) (c Command, err error) {
	if isOld(b) {
		return decodeOldCommand(b)
	}
	p := &ringv1.Command{}
	if err := cmp.Or(proto.Unmarshal(b, p), readable(p.GetLogVersion())); err != nil {
		return c, err
	}
	kind := p.ProtoReflect().WhichOneof(bodies)
	if kind == nil {
		return c, errors.New("no command that this ARC knows")
	}
	c.Ref = p.GetRef()
	body := reflect.New(c.body(kind).Type().Elem())
	c.body(kind).Set(body)
	return c, fill(body.Elem(), reflect.ValueOf(p.ProtoReflect().Get(kind).Message().Interface()).Elem())
}

// snapshot is what a log begins with. The JSON names are those of log version 1.
type snapshot struct {
	LogVersion uint32 `json:"-"`
	Ring       State  `json:"ring"`
	// Gone are former members whose log or answers may still be needed.
	Gone []Member `json:"gone"`
}

// Snapshot returns the State's canonical bytes, together with former members
// whose log or answers may still be needed. Equal states give equal bytes.
func (s *State) Snapshot(gone ...Member) []byte {
	p := &ringv1.Snapshot{}
	_ = fill(reflect.ValueOf(p).Elem(), reflect.ValueOf(snapshot{max(firstLogVersion, s.LogVersion), *s, gone}))
	return marshal(p)
}

// decodeSnapshot is the inverse of State.Snapshot.
func decodeSnapshot(b []byte) (s snapshot, err error) {
	if isOld(b) {
		return decodeOldSnapshot(b)
	}
	p := &ringv1.Snapshot{}
	if err := cmp.Or(proto.Unmarshal(b, p), readable(p.GetLogVersion())); err != nil {
		return s, err
	}
	return s, fill(reflect.ValueOf(&s).Elem(), reflect.ValueOf(p).Elem())
}

func marshal(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("ring: a record does not encode: %v", err)) // all text was checked
	}
	return b
}

// readable refuses what needs a newer version of the log.
func readable(version uint32) error {
	if version > LogVersion {
		return fmt.Errorf("%w %d, this one reads up to %d", ErrNewer, version, LogVersion)
	}
	return nil
}
