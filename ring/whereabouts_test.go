package ring

import "testing"

func TestWhereabouts(t *testing.T) {
	for _, c := range []struct {
		addresses []string
		want      string
	}{
		{nil, "n3"},
		{[]string{"10.0.0.3:7400"}, "n3 (10.0.0.3:7400)"},
		{[]string{"10.0.0.3:7400", "[fd00::3]:7400"}, "n3 (10.0.0.3:7400, [fd00::3]:7400)"},
		{[]string{"a:1", "b:1", "c:1", "d:1"}, "n3 (a:1, b:1, c:1, …)"},
	} {
		if got := Whereabouts("n3", c.addresses); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
