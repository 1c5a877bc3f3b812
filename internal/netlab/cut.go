package netlab

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netns"
)

// cut is a path on which frames vanish, by host numbers.
type cut struct{ from, to int }

// hole is a host's cable that swallows frames of one direction, or both.
type hole struct{ host, network int }

// Hole says which frames vanish between a host and the switch of one network, while
// both ends keep their carrier.
type Hole struct {
	// In are those to the host, Out those from it.
	In, Out bool
	// Above spares frames of up to so many bytes, their Ethernet header not counted.
	// Larger ones vanish where a router of a smaller MTU tells nobody.
	Above int
}

// Swallow makes frames vanish on the host's cable to network k. The zero Hole ends
// that.
func (l *Lab) Swallow(h *Host, k int, frames Hole) {
	l.t.Helper()
	h.mustBeOn()
	l.changeCuts(func() { l.holes[hole{h.number, k}] = frames })
}

// CutOneWay makes all frames from a to b vanish, broadcasts too, while those
// from b to a pass. Neither side sees anything but silence.
func (l *Lab) CutOneWay(a, b *Host) {
	l.t.Helper()
	l.changeCuts(func() { l.cuts[cut{a.number, b.number}] = true })
}

// Cut cuts a from b both ways; others still see both, so a, b and a third make
// a triangle with one side missing.
func (l *Lab) Cut(a, b *Host) {
	l.t.Helper()
	l.changeCuts(func() {
		l.cuts[cut{a.number, b.number}] = true
		l.cuts[cut{b.number, a.number}] = true
	})
}

// Mend undoes what Cut and CutOneWay did between a and b.
func (l *Lab) Mend(a, b *Host) {
	l.t.Helper()
	l.changeCuts(func() {
		delete(l.cuts, cut{a.number, b.number})
		delete(l.cuts, cut{b.number, a.number})
	})
}

// Partition cuts every host of a group from every host of every other group,
// all at once. Hosts that are in no group keep seeing all.
func (l *Lab) Partition(groups ...[]*Host) {
	l.t.Helper()
	l.changeCuts(func() {
		for i, group := range groups {
			for j, other := range groups {
				if i == j {
					continue
				}
				for _, a := range group {
					for _, b := range other {
						l.cuts[cut{a.number, b.number}] = true
					}
				}
			}
		}
	})
}

// Heal undoes every cut and impairment and plugs in every cable of the hosts
// that are on.
func (l *Lab) Heal() {
	l.t.Helper()
	for _, h := range l.hosts {
		if h.On() {
			l.Impair(h, Impairment{})
			l.Plug(h)
		}
	}
	l.changeCuts(func() { clear(l.cuts); clear(l.holes) })
}

func (l *Lab) changeCuts(change func()) {
	l.t.Helper()
	change()
	if err := l.applyCuts(); err != nil {
		l.t.Fatalf("netlab: cut: %v", err)
	}
}

// applyCuts tells the bridges which pairs of ports to keep apart.
func (l *Lab) applyCuts() error {
	var pairs []portPair
	for c := range l.cuts {
		a, b := l.hosts[c.from-1], l.hosts[c.to-1]
		if !a.On() || !b.On() {
			continue
		}
		for k := range l.options.Networks {
			pairs = append(pairs, portPair{from: a.cables[k].portIndex(), to: b.cables[k].portIndex()})
		}
	}
	for at, frames := range l.holes {
		h := l.hosts[at.host-1]
		if !h.On() {
			continue
		}
		if frames.In {
			pairs = append(pairs, portPair{to: h.cables[at.network].portIndex(), above: frames.Above})
		}
		if frames.Out {
			pairs = append(pairs, portPair{from: h.cables[at.network].portIndex(), above: frames.Above})
		}
	}
	return l.cutTable.set(pairs)
}

// cutTable is the nftables table of the bridges' namespace.
type cutTable struct {
	conn  *nftables.Conn
	table *nftables.Table
	chain *nftables.Chain
}

// portPair is a path through a bridge, by interface indexes; 0 is any. Only frames
// above a size are meant.
type portPair struct{ from, to, above int }

func (c *cable) portIndex() int { return c.bridgePort.Attrs().Index }

func newCutTable(space netns.NsHandle) (*cutTable, error) {
	conn, err := nftables.New(nftables.WithNetNSFd(int(space)), nftables.AsLasting())
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	c := &cutTable{conn: conn}
	c.table = conn.AddTable(&nftables.Table{Name: "cuts", Family: nftables.TableFamilyBridge})
	c.chain = conn.AddChain(&nftables.Chain{
		Name: "forward", Table: c.table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
	})
	if err := conn.Flush(); err != nil {
		_ = conn.CloseLasting()
		return nil, fmt.Errorf("make the nftables table: %w", err)
	}
	return c, nil
}

// set replaces all cuts at once: a packet meets either the old or the new.
func (c *cutTable) set(pairs []portPair) error {
	c.conn.FlushChain(c.chain)
	for _, p := range pairs {
		var match []expr.Any
		meta := func(key expr.MetaKey, op expr.CmpOp, data []byte) {
			match = append(match, &expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: data})
		}
		if p.from != 0 {
			meta(expr.MetaKeyIIF, expr.CmpOpEq, binaryutil.NativeEndian.PutUint32(uint32(p.from)))
		}
		if p.to != 0 {
			meta(expr.MetaKeyOIF, expr.CmpOpEq, binaryutil.NativeEndian.PutUint32(uint32(p.to)))
		}
		if p.above != 0 {
			match = append(match, &expr.Meta{Key: expr.MetaKeyLEN, Register: 1},
				&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 4, Size: 4},
				&expr.Cmp{Op: expr.CmpOpGt, Register: 1, Data: binaryutil.BigEndian.PutUint32(uint32(p.above))})
		}
		c.conn.AddRule(&nftables.Rule{Table: c.table, Chain: c.chain, Exprs: append(match, &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop})})
	}
	if err := c.conn.Flush(); err != nil {
		return fmt.Errorf("change the nftables rules: %w", err)
	}
	return nil
}

func (c *cutTable) close() { _ = c.conn.CloseLasting() }
