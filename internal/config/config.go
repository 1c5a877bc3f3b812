package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/pflag"

	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/limits"
)

// Layer names where a value came from, the strongest last.
type Layer string

// The layers.
const (
	Default Layer = "default"
	File    Layer = "file"
	Env     Layer = "env"
	Flag    Layer = "flag"
)

// Value is the effective value of one option, and its JSON in `arc config show`.
type Value struct {
	Key   string `json:"key"`
	Text  string `json:"value"`
	Layer Layer  `json:"source"`
	// Origin says where exactly: the flag, the variable or the file.
	Origin string `json:"origin"`
}

// Set is a group of options that are resolved together.
type Set struct {
	flags *pflag.FlagSet
	opts  map[string]*option
	// badFile: the file could not be read, or something in it not be understood.
	badFile bool
}

type option struct {
	flag *pflag.Flag
	kind reflect.Kind // of what it stores
	hint string
	// text is what the command line said, or else the default.
	text   string
	value  Value
	bad    bool
	assign func(string) error
}

// NewSet returns an empty set whose flags are defined in flags.
func NewSet(flags *pflag.FlagSet) *Set {
	return &Set{flags: flags, opts: map[string]*option{}}
}

// Var defines an option that Resolve stores in p. The name is the flag's, in kebab
// case; "output,o" has a letter too. The hint is the placeholder in help, such as
// "IP" or "N". The default is written as the user would write it.
//
// A bool may stand without a value as a flag, and then means true. A slice takes
// values separated by commas, may be repeated as a flag, and is an array in the file.
func Var[T any](s *Set, p *T, name, hint, def, usage string, parse func(string) (T, error)) {
	name, letter, _ := strings.Cut(name, ",")
	o := &option{kind: reflect.TypeFor[T]().Kind(), hint: hint, text: def}
	o.assign = func(text string) error {
		v, err := parse(text)
		if err == nil {
			*p = v
		}
		return err
	}
	o.flag = s.flags.VarPF(o, name, letter, usage)
	if o.kind == reflect.Bool {
		o.flag.NoOptDefVal = "true"
	}
	s.opts[name] = o
}

// Resolve gives every option its effective value: flags that were set, then
// env (as os.LookupEnv), then the file at path (none if empty), then the
// defaults. It returns all problems joined; a bad value is replaced by the
// default, see Unclear.
func (s *Set) Resolve(env func(string) (string, bool), path string) error {
	file, err := readFile(path)
	errs := []error{err}
	s.badFile = err != nil
	for _, key := range slices.Sorted(maps.Keys(file)) {
		if _, known := s.opts[key]; !known {
			errs = append(errs, fmt.Errorf("%s: unknown key %s%s", path, foreign.Quote(key), s.suggest(key)))
			s.badFile = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.opts)) {
		o := s.opts[key]
		o.value = Value{Key: key, Text: o.flag.DefValue, Layer: Default, Origin: "default of --" + key}
		var unfit error
		if raw, ok := file[key]; ok {
			var text string
			if text, unfit = o.fromTOML(raw); unfit != nil {
				errs = append(errs, fmt.Errorf("%s: %s: %w", path, key, unfit))
				s.badFile = true
			}
			o.value = Value{Key: key, Text: text, Layer: File, Origin: path + ": " + key}
		}
		if text, ok := env(EnvName(key)); ok {
			o.value = Value{Key: key, Text: text, Layer: Env, Origin: EnvName(key)}
		}
		if o.flag.Changed {
			o.value = Value{Key: key, Text: o.text, Layer: Flag, Origin: "--" + key}
		}
		if o.bad = o.value.Layer == File && unfit != nil; o.bad {
			_ = o.assign(o.flag.DefValue)
			continue // it was reported
		}
		err := o.assign(o.value.Text)
		if o.bad = err != nil; o.bad {
			s.badFile = s.badFile || o.value.Layer == File
			errs = append(errs, fmt.Errorf("%s: %w", o.value.Origin, err))
			_ = o.assign(o.flag.DefValue) // so that rules between options are not judged by a zero
		}
	}
	return errors.Join(errs...)
}

// Values returns what Resolve decided, sorted by key.
func (s *Set) Values() []Value {
	out := make([]Value, 0, len(s.opts))
	for _, key := range slices.Sorted(maps.Keys(s.opts)) {
		out = append(out, s.opts[key].value)
	}
	return out
}

// Unclear reports whether Resolve does not know what the option was meant to be:
// it could not make sense of its value, or the option has its default because a
// file says nothing of it that has a mistake in it. A rule between options should
// not judge it.
func (s *Set) Unclear(key string) bool {
	o := s.opts[key]
	return o.bad || s.badFile && o.value.Layer == Default
}

// Layer tells which layer decided the option.
func (s *Set) Layer(key string) Layer { return s.opts[key].value.Layer }

// Origin says where the option's value came from, for error messages.
func (s *Set) Origin(key string) string { return s.opts[key].value.Origin }

// CheckFlags returns everything that is wrong with the values that the command
// line gave to options of any Set, joined. A command that will not resolve its
// options needs it, since flags keep bad values for Resolve.
func CheckFlags(flags *pflag.FlagSet) error {
	var errs []error
	flags.Visit(func(f *pflag.Flag) {
		if v, ok := f.Value.(*option); ok {
			if err := v.assign(v.text); err != nil {
				errs = append(errs, fmt.Errorf("--%s: %w", f.Name, err))
			}
		}
	})
	return errors.Join(errs...)
}

// EnvName returns the variable of an option: log-level is ARC_LOG_LEVEL.
func EnvName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
}

func (s *Set) suggest(key string) string {
	alt := strings.ReplaceAll(strings.ToLower(key), "_", "-")
	if meant := nearest(alt, "", slices.Collect(maps.Keys(s.opts))); meant != "" {
		return didYouMean(strconv.Quote(meant))
	}
	return ""
}

func readFile(path string) (map[string]any, error) {
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > limits.ConfigFile) {
		err = fmt.Errorf("%s is not a regular file of at most %d bytes", path, limits.ConfigFile)
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	var file map[string]any
	err = toml.Unmarshal(text, &file)
	if err == nil {
		return file, nil
	}
	where := path
	if at := (*toml.DecodeError)(nil); errors.As(err, &at) {
		row, col := at.Position()
		where = fmt.Sprintf("%s:%d:%d", path, row, col)
	}
	return nil, fmt.Errorf("configuration file: %s: %w", where, err)
}

func (o *option) fromTOML(raw any) (string, error) {
	list, isList := raw.([]any)
	switch {
	case !isList:
		list = []any{raw}
	case o.kind != reflect.Slice:
		return "", errors.New("an array where one value belongs")
	}
	parts := make([]string, len(list))
	for i, item := range list {
		switch item.(type) {
		case string, int64, bool, float64:
			parts[i] = fmt.Sprint(item)
		default:
			return "", fmt.Errorf("%v is not a string, a number, true or false", item)
		}
	}
	return strings.Join(parts, ","), nil
}

// An option is its flag's pflag.Value.
func (o *option) String() string { return o.text }

// Set stores what the command line said. Bad values are kept for Resolve to report,
// since pflag would stop at the first.
func (o *option) Set(text string) error {
	if o.kind == reflect.Slice && o.flag.Changed {
		text = o.text + "," + text
	}
	o.text = text
	return nil
}

func (o *option) Type() string {
	if o.kind == reflect.Bool {
		return "bool" // pflag then prints no placeholder
	}
	return o.hint
}
