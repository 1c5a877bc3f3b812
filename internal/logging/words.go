package logging

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/foreign"
)

// words is a logger whose lines show values as people write them. A text line shows a
// list as "a, b, c", where hclog has Go's notation, and leaves out a key whose text is
// empty. Errors are shown without what gRPC puts around them, in JSON too.
type words struct {
	hclog.Logger
	json bool
}

func (l words) Log(level hclog.Level, message string, args ...any) {
	if level >= l.GetLevel() {
		l.Logger.Log(level, message, l.spell(args)...)
	}
}

func (l words) Trace(message string, args ...any) { l.Log(hclog.Trace, message, args...) }
func (l words) Debug(message string, args ...any) { l.Log(hclog.Debug, message, args...) }
func (l words) Info(message string, args ...any)  { l.Log(hclog.Info, message, args...) }
func (l words) Warn(message string, args ...any)  { l.Log(hclog.Warn, message, args...) }
func (l words) Error(message string, args ...any) { l.Log(hclog.Error, message, args...) }

func (l words) With(args ...any) hclog.Logger {
	return words{l.Logger.With(l.spell(args)...), l.json}
}

func (l words) Named(name string) hclog.Logger { return words{l.Logger.Named(name), l.json} }

func (l words) ResetNamed(name string) hclog.Logger { return words{l.Logger.ResetNamed(name), l.json} }

// spell returns args as they are shown. It does not change them.
func (l words) spell(args []any) []any {
	shown := make([]any, 0, len(args))
	for i := 0; i < len(args); i += 2 {
		if i+1 == len(args) {
			return append(shown, args[i]) // hclog says that a value is missing
		}
		switch value := args[i+1]; {
		case l.json:
			shown = append(shown, args[i], plainError(value))
		case isEmptyText(value):
		default:
			shown = append(shown, args[i], listText(plainError(value)))
		}
	}
	return shown
}

// plainError is an error without gRPC's words; another value stays.
func plainError(value any) any {
	err, ok := value.(error)
	if !ok {
		return value
	}
	if text := err.Error(); foreign.Plain(text) != text {
		return errors.New(foreign.Plain(text))
	}
	return value
}

// isEmptyText reports whether a value is an empty text.
func isEmptyText(value any) bool {
	switch value.(type) {
	case nil, error, fmt.Stringer:
		return false
	}
	v := reflect.ValueOf(value)
	return v.Kind() == reflect.String && v.Len() == 0
}

// listText is a list in words, "none" for an empty one; another value stays. What has a
// text of its own is no list.
func listText(value any) any {
	switch value.(type) {
	case nil, string, error, fmt.Stringer, []byte, hclog.Format:
		return value
	}
	v := reflect.ValueOf(value)
	if v.Kind() != reflect.Slice && v.Kind() != reflect.Array {
		return value
	}
	if v.Len() == 0 {
		return "none"
	}
	items := make([]string, v.Len())
	for i := range items {
		items[i] = fmt.Sprint(v.Index(i).Interface())
	}
	return strings.Join(items, ", ")
}
