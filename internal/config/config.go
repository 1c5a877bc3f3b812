package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
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

// ErrFile is in every error about the file as a whole: it cannot be read or is
// no TOML.
var ErrFile = errors.New("configuration file")

// Value is the effective value of one option.
type Value struct {
	Key   string
	Text  string
	Layer Layer
	// Origin says where exactly: the flag, the variable or the file.
	Origin string
}

// Set is a group of options that are resolved together.
type Set struct {
	flags *pflag.FlagSet
	opts  map[string]*option
}

// Shape is how an option is written.
type Shape int

// The shapes.
const (
	// Scalar takes one value.
	Scalar Shape = iota
	// List takes values separated by commas, may be repeated as a flag, and
	// is an array in the file.
	List
	// Switch may stand without a value as a flag, and then means true.
	Switch
)

// Spec describes one option.
type Spec[T any] struct {
	// Name is the flag's, in kebab case; Short its letter, if it has one.
	Name  string
	Short string
	// Default is written as the user would write it.
	Default string
	Usage   string
	// Hint is the placeholder in help: "IP", "N".
	Hint  string
	Shape Shape
	Parse func(string) (T, error)
}

type option struct {
	name   string
	shape  Shape
	hint   string
	def    string
	flag   string // as set by the command line
	given  bool
	value  Value
	bad    bool
	assign func(string) error
}

// NewSet returns an empty set whose flags are defined in flags.
func NewSet(flags *pflag.FlagSet) *Set {
	return &Set{flags: flags, opts: map[string]*option{}}
}

// Var defines an option that Resolve stores in p.
func Var[T any](s *Set, p *T, spec Spec[T]) {
	o := &option{name: spec.Name, shape: spec.Shape, hint: spec.Hint, def: spec.Default}
	o.assign = func(text string) error {
		v, err := spec.Parse(text)
		if err != nil {
			return err
		}
		*p = v
		return nil
	}
	if _, dup := s.opts[spec.Name]; dup {
		panic("config: option " + spec.Name + " defined twice")
	}
	s.opts[spec.Name] = o
	f := s.flags.VarPF((*flagValue)(o), spec.Name, spec.Short, spec.Usage)
	f.DefValue = spec.Default
	if spec.Shape == Switch {
		f.NoOptDefVal = "true"
	}
}

// Resolve gives every option its effective value: flags that were set, then
// env (as os.LookupEnv), then the file at path (none if empty), then the
// defaults. It returns all problems joined; a bad value is replaced by the
// default, see Bad.
func (s *Set) Resolve(env func(string) (string, bool), path string) error {
	var errs []error
	file, err := readFile(path)
	if err != nil {
		errs = append(errs, err)
	}
	for _, key := range slices.Sorted(maps.Keys(file)) {
		if _, known := s.opts[key]; !known {
			errs = append(errs, fmt.Errorf("%s: unknown key %s%s", path, foreign.Quote(key), s.suggest(key)))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.opts)) {
		o := s.opts[key]
		o.value = Value{Key: key, Text: o.def, Layer: Default, Origin: "default of --" + key}
		if raw, ok := file[key]; ok {
			text, err := o.fromTOML(raw)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %s: %w", path, key, err))
			}
			o.value = Value{Key: key, Text: text, Layer: File, Origin: path + ": " + key}
		}
		if text, ok := env(EnvName(key)); ok {
			o.value = Value{Key: key, Text: text, Layer: Env, Origin: EnvName(key)}
		}
		if o.given {
			o.value = Value{Key: key, Text: o.flag, Layer: Flag, Origin: "--" + key}
		}
		err := o.assign(o.value.Text)
		if o.bad = err != nil; o.bad {
			errs = append(errs, fmt.Errorf("%s: %w", o.value.Origin, err))
			_ = o.assign(o.def) // so that rules between options are not judged by a zero
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

// Bad reports whether Resolve could not make sense of the option's value.
func (s *Set) Bad(key string) bool { return s.opts[key].bad }

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
		if v, ok := f.Value.(*flagValue); ok {
			if err := v.assign(v.flag); err != nil {
				errs = append(errs, fmt.Errorf("--%s: %w", v.name, err))
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
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if !info.Mode().IsRegular() || info.Size() > limits.ConfigFile {
		return nil, fmt.Errorf("%w: %s is not a regular file of at most %d bytes", ErrFile, path, limits.ConfigFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	var file map[string]any
	if err := toml.Unmarshal(text, &file); err != nil {
		var at *toml.DecodeError
		if errors.As(err, &at) {
			row, col := at.Position()
			return nil, fmt.Errorf("%w: %s:%d:%d: %w", ErrFile, path, row, col, err)
		}
		return nil, fmt.Errorf("%w: %s: %w", ErrFile, path, err)
	}
	return file, nil
}

func (o *option) fromTOML(raw any) (string, error) {
	if list, ok := raw.([]any); ok {
		if o.shape != List {
			return "", errors.New("an array where one value belongs")
		}
		parts := make([]string, 0, len(list))
		for _, item := range list {
			text, err := scalar(item)
			if err != nil {
				return "", err
			}
			parts = append(parts, text)
		}
		return strings.Join(parts, ","), nil
	}
	return scalar(raw)
}

func scalar(raw any) (string, error) {
	switch v := raw.(type) {
	case string:
		return v, nil
	case int64, bool, float64:
		return fmt.Sprint(v), nil
	default:
		return "", fmt.Errorf("%v is not a string, a number, true or false", raw)
	}
}

// flagValue stores what the command line said. Bad values are kept for Resolve
// to report, since pflag would stop at the first.
type flagValue option

func (f *flagValue) String() string {
	if f.given {
		return f.flag
	}
	return f.def
}

func (f *flagValue) Set(text string) error {
	if f.shape == List && f.given {
		text = f.flag + "," + text
	}
	f.flag, f.given = text, true
	return nil
}

func (f *flagValue) Type() string {
	switch {
	case f.shape == Switch:
		return "bool" // pflag then prints no placeholder
	case f.hint != "":
		return f.hint
	default:
		return "string"
	}
}
