package trust

import (
	"net/url"
	"strings"
	"testing"

	"github.com/arc-ring/arc/internal/limits"
)

func TestIdentitiesSurviveACertificate(t *testing.T) {
	a := deriveAuthority(NewSecret(), "c")
	for _, cluster := range []string{"arc", "my_cluster", "ü", "x.y", ".", "..", "a=41", "C:1", "[::1]"} {
		for _, name := range []string{"n1", "db-1.example.org", "a/b", "é", "%41", "=", "..", strings.Repeat("n", limits.Name)} {
			want := Identity{cluster, Operate, name}
			got, err := identityOf(a.mint(want, forever).Leaf)
			if err != nil || got != want {
				t.Errorf("%v became %v, %v", want, got, err)
			}
		}
	}
}

func TestForeignIdentitiesAreRefused(t *testing.T) {
	a := deriveAuthority(NewSecret(), "c")
	for _, bad := range []Identity{{"c", "root", "n"}, {"c", Member, ""}, {"", Member, "n"}, {"c", "", "n"}} {
		if got, err := identityOf(a.mint(bad, forever).Leaf); err == nil {
			t.Errorf("%v was taken for %v", bad, got)
		}
	}
	for _, alias := range []string{
		"spiffe://c/member/=6E1", "spiffe://c/member/%6E1", "spiffe://c/%6Dember/n1", "spiffe://c/member%2Fn1", "spiffe://c//member/n1", "spiffe://c/member/n1/",
		"spiffe://c/member/n1?", "spiffe://c/member/n1?a", "spiffe://c/member/n1#a", "spiffe://@c/member/n1", "spiffe://c:1/member/n1", "https://c/member/n1", "spiffe:c/member/n1",
	} {
		u, err := url.Parse(alias)
		if err != nil {
			t.Fatal(err)
		}
		leaf := a.mint(member("n1"), forever).Leaf
		leaf.URIs[0] = u
		if got, err := identityOf(leaf); err == nil {
			t.Errorf("%s was taken for %v", alias, got)
		}
	}
	two := a.mint(member("n1"), forever).Leaf
	two.URIs = append(two.URIs, member("n2").uri())
	if got, err := identityOf(two); err == nil {
		t.Errorf("two names were taken for %v", got)
	}
}
