package publish

import (
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// detailOf returns a message's contract JSON as an event's detail: proto names,
// every field, uint64 as strings. It is made without the JSON: a failover waits
// for its events.
func detailOf(m proto.Message) *structpb.Struct { return structOf(m.ProtoReflect()) }

func structOf(m protoreflect.Message) *structpb.Struct {
	fields := m.Descriptor().Fields()
	s := &structpb.Struct{Fields: make(map[string]*structpb.Value, fields.Len())}
	for i := range fields.Len() {
		f := fields.Get(i)
		s.Fields[string(f.Name())] = fieldOf(m, f)
	}
	return s
}

func fieldOf(m protoreflect.Message, f protoreflect.FieldDescriptor) *structpb.Value {
	switch {
	case f.IsList():
		list := m.Get(f).List()
		values := make([]*structpb.Value, list.Len())
		for i := range values {
			values[i] = valueOf(list.Get(i))
		}
		return structpb.NewListValue(&structpb.ListValue{Values: values})
	case f.HasPresence() && !m.Has(f):
		return structpb.NewNullValue()
	default:
		return valueOf(m.Get(f))
	}
}

func valueOf(v protoreflect.Value) *structpb.Value {
	switch v := v.Interface().(type) {
	case bool:
		return structpb.NewBoolValue(v)
	case string:
		return structpb.NewStringValue(v)
	case uint32:
		return structpb.NewNumberValue(float64(v))
	case float64:
		return structpb.NewNumberValue(v)
	case uint64:
		return structpb.NewStringValue(strconv.FormatUint(v, 10))
	case protoreflect.Message:
		if t, ok := v.Interface().(*timestamppb.Timestamp); ok {
			return structpb.NewStringValue(stamp(t))
		}
		return structpb.NewStructValue(structOf(v))
	default:
		panic(fmt.Sprintf("coordinator: no event has a detail with a %T", v)) // a test tries every kind
	}
}

// stamp writes a time with as many of 0, 3, 6 or 9 digits as it needs.
func stamp(t *timestamppb.Timestamp) string {
	b := t.AsTime().AppendFormat(make([]byte, 0, 32), "2006-01-02T15:04:05.000000000")
	const three = "000"
	for range 3 {
		if string(b[len(b)-len(three):]) != three {
			break
		}
		b = b[:len(b)-len(three)]
	}
	if b[len(b)-1] == '.' {
		b = b[:len(b)-1]
	}
	return string(append(b, 'Z'))
}
