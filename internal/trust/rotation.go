package trust

import (
	"fmt"
	"strings"
	"time"
)

// A Step is one of the three by which a secret is replaced in a running ring. Each
// one changes the file, which then has to be on every machine before the next.
// Between any two neighbouring files all members believe each other: Add makes the
// new secret accepted, Use puts it first, Drop drops the others.
type Step string

// The steps, in their order.
const (
	Add  Step = "add"
	Use  Step = "use"
	Drop Step = "drop"
)

// Steps are all of them, in their order.
var Steps = []Step{Add, Use, Drop}

// newest returns the place of the secret that was made last, and false if there
// are several that may be.
func newest(all []Secret) (place int, known bool) {
	known = true
	for i, s := range all[1:] {
		switch {
		case s.made.After(all[place].made):
			place, known = i+1, true
		case s.made.Equal(all[place].made):
			known = false
		}
	}
	return place, known
}

// Signer returns the secret that signs clients' certificates: the newest one, or
// the first one where that is not known. So a certificate that is issued between
// Add and Use outlives Drop.
func Signer(all []Secret) Secret {
	if place, known := newest(all); known {
		return all[place]
	}
	return all[0]
}

// Next returns the step that secrets are ready for. They tell it by their order
// and their age.
func Next(all []Secret) (Step, error) {
	place, known := newest(all)
	switch {
	case len(all) == 1:
		return Add, nil
	case !known:
		return "", fmt.Errorf("it is not known which of the secrets %s is the newest, since their lines have no different times; order them by hand: the first one is used, all are accepted", list(all))
	case place == 0:
		return Drop, nil
	}
	return Use, nil
}

// Rotate returns the secrets after a step, and an error that says what to do first
// if it is another step's turn. A secret that is added is made now.
func Rotate(all []Secret, step Step, now time.Time) ([]Secret, error) {
	next, err := Next(all)
	if err != nil {
		return nil, err
	}
	place, _ := newest(all)
	if step != next {
		return nil, outOfTurn(all, all[place], next)
	}
	switch step {
	case Add:
		// Clocks need not be set, and the newest has to be found by its time.
		if soonest := all[0].made.Add(time.Second); now.Before(soonest) {
			now = soonest
		}
		return append(all[:1:1], NewSecret().Dated(now)), nil
	case Use:
		out := append([]Secret{all[place]}, all[:place]...)
		return append(out, all[place+1:]...), nil
	default:
		return all[:1:1], nil
	}
}

// outOfTurn says why it is not a step's turn, and whose it is.
func outOfTurn(all []Secret, newest Secret, next Step) error {
	why := ""
	switch next {
	case Add:
		why = fmt.Sprintf("secret %s is the only one", newest)
	case Use:
		why = fmt.Sprintf("secret %s was added and is not used yet (delete its line from the file to give it up)", newest)
	case Drop:
		why = fmt.Sprintf("secret %s is used, and %s accepted still", newest, list(all[1:]))
	}
	return fmt.Errorf("%s: the next step is `arc secret rotate %s`", why, next)
}

func list(all []Secret) string { return strings.Join(IDs(all), ", ") }
