package fakearc

import (
	"encoding/json"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// Event returns an event with a head, of a type and with the fields of its detail
// as the JSON contract names them. It panics where there is no such type or field.
func Event(head *arcv1.Event, kind string, detail map[string]any) *arcv1.Event {
	if detail == nil {
		detail = map[string]any{}
	}
	ev := &arcv1.Event{}
	b, err := json.Marshal(map[string]any{kind: detail})
	if err == nil {
		err = protojson.Unmarshal(b, ev)
	}
	if err != nil {
		panic(err)
	}
	proto.Merge(ev, head)
	return ev
}
