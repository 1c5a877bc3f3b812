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
		value, says := plainError(args[i+1]), true
		if !l.json {
			value, says = inWords(value)
		}
		if says {
			shown = append(shown, args[i], value)
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

// inWords is a list in words, "none" for an empty one; another value stays. What has a
// text of its own is no list. An empty text says nothing.
func inWords(value any) (text any, says bool) {
	switch value.(type) {
	case nil, error, fmt.Stringer, []byte, hclog.Format:
		return value, true
	}
	v := reflect.ValueOf(value)
	switch kind := v.Kind(); {
	case kind == reflect.String:
		return value, v.Len() > 0
	case kind != reflect.Slice && kind != reflect.Array:
		return value, true
	case v.Len() == 0:
		return "none", true
	}
	items := make([]string, v.Len())
	for i := range items {
		items[i] = fmt.Sprint(v.Index(i).Interface())
	}
	return strings.Join(items, ", "), true
}
