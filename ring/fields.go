package ring

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	ringv1 "github.com/arc-ring/arc/proto/arc/ring/v1"
)

// words are the closed sets, in the order of their numbers on the disk.
var words = map[reflect.Type][]any{
	reflect.TypeFor[Evidence]():   {Evidence(""), Certified, Refused, Reset, Silent, Operator, Replaced, Unanswered, BornAgain},
	reflect.TypeFor[OnJoin]():     {OnJoin(""), Stay, Lead},
	reflect.TypeFor[ChangeKind](): {ChangeKind(""), Left, Evicted},
}

// number returns the number of a word, -1 for one that is in no set.
func number(word any) int { return slices.Index(words[reflect.TypeOf(word)], word) }

// fill copies a record into its message or a message into its record. A record is
// a struct of this package that is written to the disk. It has the fields of its
// message in the same order, and a test compares their names. dst is zero, and a
// zero record is a message that is not there. A word that is in no set becomes -1,
// which no reader takes. The error names the first number that is no word.
func fill(dst, src reflect.Value) (err error) {
	switch {
	case src.IsZero():
	case src.Kind() == reflect.Pointer:
		return fill(dst, src.Elem())
	case dst.Kind() == reflect.Pointer:
		dst.Set(reflect.New(dst.Type().Elem()))
		return fill(dst.Elem(), src)
	case dst.Type() == src.Type():
		dst.Set(src)
	case dst.Kind() == reflect.Slice:
		dst.Set(reflect.MakeSlice(dst.Type(), src.Len(), src.Len()))
		for i := range src.Len() {
			err = cmp.Or(err, fill(dst.Index(i), src.Index(i)))
		}
	case dst.Kind() == reflect.Struct:
		n := min(dst.NumField(), src.NumField())
		inDst, inSrc := min(dst.NumField()-n, 1), min(src.NumField()-n, 1) // a message has one of its own before them
		for i := range n {
			err = cmp.Or(err, fill(dst.Field(inDst+i), src.Field(inSrc+i)))
		}
	case src.Kind() == reflect.String:
		dst.SetInt(int64(number(src.Interface())))
	default:
		known := words[dst.Type()]
		if n := src.Int(); n < 0 || n >= int64(len(known)) {
			return fmt.Errorf("word %d is not among %q", n, known)
		}
		dst.Set(reflect.ValueOf(known[src.Int()]))
	}
	return err
}

// Number is the evidence on the wire and on the disk.
func (e Evidence) Number() ringv1.Evidence { return ringv1.Evidence(number(e)) }

// Number is the wish on the wire and on the disk.
func (o OnJoin) Number() ringv1.OnJoin { return ringv1.OnJoin(number(o)) }

// EvidenceOf is the inverse of Evidence.Number.
func EvidenceOf(n ringv1.Evidence) (e Evidence, err error) {
	err = fill(reflect.ValueOf(&e).Elem(), reflect.ValueOf(n))
	return e, err
}

// OnJoinOf is the inverse of OnJoin.Number.
func OnJoinOf(n ringv1.OnJoin) (o OnJoin, err error) {
	err = fill(reflect.ValueOf(&o).Elem(), reflect.ValueOf(n))
	return o, err
}
