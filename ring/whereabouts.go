package ring

import (
	"strconv"
	"strings"
)

// whereaboutsMost is how many addresses Whereabouts names.
const whereaboutsMost = 3

// Whereabouts is a member's name with its addresses, for somebody who has to go
// there: "n3 (10.0.0.3:7400)". Of many addresses it names the first ones.
func Whereabouts(name string, addresses []string) string {
	if len(addresses) == 0 {
		return name
	}
	more := ""
	if len(addresses) > whereaboutsMost {
		addresses, more = addresses[:whereaboutsMost], ", …"
	}
	return name + " (" + strings.Join(addresses, ", ") + more + ")"
}

// IDs are ids as people read them: "1, 2, 3".
func IDs(ids []uint64) string {
	return strings.Join(Each(ids, func(id uint64) string { return strconv.FormatUint(id, 10) }), ", ")
}
