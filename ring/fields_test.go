package ring

import (
	"cmp"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	ringv1 "github.com/arc-ring/arc/proto/arc/ring/v1"
)

// A record and its message have the same fields in the same order. A field that
// only one of them has would shift all others.
func TestRecordsHaveTheFieldsOfTheirMessages(t *testing.T) {
	compareFields(t, reflect.TypeFor[snapshot](), (*ringv1.Snapshot)(nil).ProtoReflect().Descriptor())
	for i := range bodies.Fields().Len() {
		kind := bodies.Fields().Get(i)
		f := reflect.TypeFor[Command]().Field(kind.Index())
		if !sameName(f.Name, kind) {
			t.Errorf("%s stands where a Command has %s", kind.FullName(), f.Name)
		}
		compareFields(t, f.Type.Elem(), kind.Message())
	}
}

func compareFields(t *testing.T, record reflect.Type, message protoreflect.MessageDescriptor) {
	t.Helper()
	fields := message.Fields()
	if record.NumField() != fields.Len() {
		t.Errorf("%v has %d fields, %s %d", record, record.NumField(), message.FullName(), fields.Len())
		return
	}
	for i := range fields.Len() {
		of, field := record.Field(i), fields.Get(i)
		if !sameName(of.Name, field) {
			t.Errorf("%v.%s stands where %s is", record, of.Name, field.FullName())
		}
		if field.Message() != nil {
			of.Type = elem(of.Type)
			compareFields(t, of.Type, field.Message())
		}
		if field.Enum() != nil {
			compareWords(t, of.Type, field.Enum())
		}
	}
}

func compareWords(t *testing.T, word reflect.Type, enum protoreflect.EnumDescriptor) {
	t.Helper()
	if len(words[word]) != enum.Values().Len() {
		t.Errorf("%v has the words %q, %s has %d", word, words[word], enum.FullName(), enum.Values().Len())
		return
	}
	for i, w := range words[word] {
		name := cmp.Or(reflect.ValueOf(w).String(), "unspecified")
		if v := enum.Values().ByNumber(protoreflect.EnumNumber(i)); v == nil || !strings.HasSuffix(string(v.Name()), "_"+strings.ToUpper(name)) {
			t.Errorf("%v %q has the number %d, which is %v", word, w, i, v)
		}
	}
}

func elem(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		return elem(t.Elem())
	}
	return t
}

func sameName(record string, field protoreflect.FieldDescriptor) bool {
	return strings.EqualFold(record, strings.ReplaceAll(string(field.Name()), "_", ""))
}
