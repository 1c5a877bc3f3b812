package logging

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// lists is a logger whose text lines show the values of a list as people write
// them, "a, b, c". hclog shows Go's notation.
type lists struct{ hclog.Logger }

func (l lists) Log(level hclog.Level, message string, args ...any) {
	if level >= l.GetLevel() {
		l.Logger.Log(level, message, spell(args)...)
	}
}

func (l lists) Trace(message string, args ...any) { l.Log(hclog.Trace, message, args...) }
func (l lists) Debug(message string, args ...any) { l.Log(hclog.Debug, message, args...) }
func (l lists) Info(message string, args ...any)  { l.Log(hclog.Info, message, args...) }
func (l lists) Warn(message string, args ...any)  { l.Log(hclog.Warn, message, args...) }
func (l lists) Error(message string, args ...any) { l.Log(hclog.Error, message, args...) }

func (l lists) With(args ...any) hclog.Logger { return lists{l.Logger.With(spell(args)...)} }

func (l lists) Named(name string) hclog.Logger { return lists{l.Logger.Named(name)} }

func (l lists) ResetNamed(name string) hclog.Logger { return lists{l.Logger.ResetNamed(name)} }

// spell returns args with texts in place of lists. It copies them only if there
// is one.
func spell(args []any) []any {
	copied := false
	for i, arg := range args {
		text, ok := listText(arg)
		if !ok {
			continue
		}
		if !copied {
			args, copied = append([]any(nil), args...), true
		}
		args[i] = text
	}
	return args
}

// listText is a list in words, "none" for an empty one. What has a text of its
// own is no list.
func listText(arg any) (string, bool) {
	switch arg.(type) {
	case nil, string, error, fmt.Stringer, []byte, hclog.Format:
		return "", false
	}
	v := reflect.ValueOf(arg)
	if v.Kind() != reflect.Slice && v.Kind() != reflect.Array {
		return "", false
	}
	if v.Len() == 0 {
		return "none", true
	}
	items := make([]string, v.Len())
	for i := range items {
		items[i] = fmt.Sprint(v.Index(i).Interface())
	}
	return strings.Join(items, ", "), true
}
