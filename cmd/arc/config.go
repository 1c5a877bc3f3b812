package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/config"
	"github.com/arc-ring/arc/internal/foreign"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

func newConfigCmd(f *factory) *cobra.Command {
	return grouping(&cobra.Command{
		Use:   "config",
		Short: "The ring's settings, and this machine's options",
		Long: `Settings belong to the ring: they are committed, the same everywhere, and can be
changed at run time. get prints them, set changes them. Options belong to this
machine's coordinator: they come from flags, environment and file. show prints
them.`,
	}, newConfigGetCmd(f), newConfigSetCmd(f), newConfigShowCmd(f))
}

func newConfigGetCmd(f *factory) *cobra.Command {
	return &cobra.Command{
		Use:   "get [KEY]",
		Short: "Print the ring's settings, or one of them",
		Example: `  arc config get
  arc config get lease_ms`,
		ValidArgs: settingKeys(),
		Args:      one(0, "at most one KEY", checkKey),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, f, (*client.Client).Settings, func(w io.Writer, r *arcv1.GetSettingsResponse) {
				settingsTable(w, r.GetSettings(), first(args))
			})
		},
	}
}

func newConfigSetCmd(f *factory) *cobra.Command {
	var changes map[string]string
	return &cobra.Command{
		Use:   "set KEY=VALUE...",
		Short: "Change the ring's settings, all or none",
		Long: `Changes the settings of the whole ring, and returns when the change is committed.
profile=NAME sets all timing to that of the profile. The other keys apply after it.
Settings that cannot work together are refused, with every rule that they break.
What is legal but doubtful is noted on stderr. "arc timing" says what the settings
amount to.`,
		Example: `  arc config set profile=fast
  arc config set lease_ms=300 leader_interval_ms=60`,
		Args: func(_ *cobra.Command, args []string) (err error) {
			changes, err = parseChanges(args)
			return err
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := call(cmd.Context(), f, with((*client.Client).SetSettings, changes))
			if err != nil {
				return err
			}
			notes := r.GetNotes()
			if s, err := fromWire(r.GetSettings()); err == nil {
				notes = append(notes, s.Notes(s.Assume())...)
			}
			for _, note := range notes {
				f.note("note: %s", note)
			}
			return f.print(r, func(w io.Writer) { settingsTable(w, r.GetSettings(), "") })
		},
	}
}

func newConfigShowCmd(f *factory) *cobra.Command {
	var o *coordinatorFlags
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the options that arc coordinator would run with here, and their sources",
		Example: `  arc config show
  arc config show --config /etc/arc/arc.toml`,
		RunE: func(*cobra.Command, []string) error {
			err := o.set.Resolve(f.env, o.fileOf(f))
			shown := shownOptions{1, o.set.Values()}
			return cmp.Or(f.print(shown, shown.table), usage(err))
		},
	}
	o = newCoordinatorFlags(cmd.Flags(), f)
	return cmd
}

// shownOptions is the JSON of `arc config show`.
type shownOptions struct {
	Version int            `json:"version"`
	Options []config.Value `json:"options"`
}

func (o shownOptions) table(w io.Writer) {
	rows(w, "KEY VALUE SOURCE ORIGIN", ring.Each(o.Options, func(v config.Value) []string {
		return []string{v.Key, or(v.Text), string(v.Layer), v.Origin}
	}))
}

// settingsTable prints all settings, or the bare value of one.
func settingsTable(w io.Writer, s *arcv1.Settings, key string) {
	var lines [][]string
	m := s.ProtoReflect()
	for i := range m.Descriptor().Fields().Len() {
		field := m.Descriptor().Fields().Get(i)
		value := m.Get(field).String()
		if string(field.Name()) == key {
			fmt.Fprintln(w, value)
			return
		}
		lines = append(lines, []string{string(field.Name()), value})
	}
	rows(w, "KEY VALUE", lines)
}

func settingKeys() []string {
	var fields protoreflect.FieldDescriptors = (&arcv1.Settings{}).ProtoReflect().Descriptor().Fields()
	keys := make([]string, fields.Len())
	for i := range keys {
		keys[i] = string(fields.Get(i).Name())
	}
	return keys
}

func checkKey(key string) error {
	if keys := settingKeys(); !slices.Contains(keys, key) {
		return usagef("%s is not one of the settings %s", foreign.Quote(key), strings.Join(keys, ", "))
	}
	return nil
}

// checkValue refuses what is not of the setting's kind. Which values work
// together is for the coordinator to say.
func checkValue(key, value string) (err error) {
	field := (&arcv1.Settings{}).ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(key))
	switch field.Kind() {
	case protoreflect.Uint32Kind:
		_, err = config.Int(0, math.MaxUint32)(value)
	case protoreflect.BoolKind:
		_, err = config.Bool(value)
	case protoreflect.StringKind:
		_, err = config.Name(value)
	}
	return err
}

func parseChanges(args []string) (map[string]string, error) {
	if len(args) == 0 {
		return nil, usagef("arc config set wants at least one KEY=VALUE")
	}
	changes := map[string]string{}
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, usagef("%s is not KEY=VALUE", foreign.Quote(arg))
		}
		if err := checkKey(key); err != nil {
			return nil, err
		}
		if _, twice := changes[key]; twice {
			return nil, usagef("%s is set twice", key)
		}
		if err := checkValue(key, value); err != nil {
			return nil, usagef("%s: %w", key, err)
		}
		changes[key] = value
	}
	return changes, nil
}
