package ring

import "testing"

func TestLook(t *testing.T) {
	wanted := Wanted{Cluster: "c", RingID: "r", Name: "n2", ID: 2, Incarnation: 20}
	answered := func(ringID, name string, id, incarnation uint64) Path {
		return Path{Outcome: PathAnswered, Answer: Answer{Cluster: "c", RingID: ringID, Name: name, ID: id, Incarnation: incarnation}}
	}
	itself := answered("r", "n2", 2, 20)
	other := answered("r", "n3", 3, 30)
	foreign := answered("s", "n2", 2, 99)
	restarted := answered("r", "n2", 2, 21)
	superseded := answered("", "n2", 0, 21)
	refused, silent, own := Path{Outcome: PathRefused}, Path{}, Path{Outcome: PathOwn}
	here := Path{Outcome: PathRefused, Local: true}
	for name, c := range map[string]struct {
		paths []Path
		want  Finding
		ended bool
	}{
		"no address":                             {nil, Finding{}, false},
		"itself":                                 {[]Path{itself}, Finding{Match: Itself}, false},
		"itself beside a bridge":                 {[]Path{own, itself}, Finding{Match: Itself}, false},
		"itself outweighs all others":            {[]Path{other, foreign, superseded, refused, silent, itself}, Finding{Match: Itself, Open: true}, false},
		"silence":                                {[]Path{silent}, Finding{Open: true}, false},
		"a refusal":                              {[]Path{refused}, Finding{Refused: true}, false},
		"refused here, silent there":             {[]Path{refused, silent}, Finding{Open: true}, false},
		"a refusal beside a bridge":              {[]Path{own, refused}, Finding{Refused: true}, false},
		"a refusal beside a floating address":    {[]Path{other, refused}, Finding{Refused: true}, false},
		"only somebody else":                     {[]Path{other}, Finding{Displaced: true}, false},
		"another ring's member, else silence":    {[]Path{foreign, silent}, Finding{Open: true}, false},
		"another ring's member alone":            {[]Path{foreign}, Finding{Displaced: true}, false},
		"only this machine":                      {[]Path{own}, Finding{}, false},
		"restarted":                              {[]Path{restarted}, Finding{Match: Restarted}, true},
		"restarted, but an address is silent":    {[]Path{restarted, silent}, Finding{Match: Restarted, Open: true}, false},
		"superseded, and refused elsewhere":      {[]Path{superseded, refused}, Finding{Match: Superseded}, true},
		"refused by this machine's bridge alone": {[]Path{here, silent}, Finding{Open: true}, false},
		"two coordinators on one machine":        {[]Path{here, here}, Finding{Refused: true}, false},
	} {
		got := wanted.Look(c.paths)
		if got != c.want || got.Ended() != c.ended {
			t.Errorf("%s: got %+v, ended %v; want %+v, ended %v", name, got, got.Ended(), c.want, c.ended)
		}
	}
}
