package sim

// powerOff takes the machine down: both processes, and what was not synced.
func (s *Sim) powerOff(n *node) {
	if !n.power {
		return
	}
	n.power = false
	s.monitorKill(n)
	if n.up {
		s.exit(n, "the machine lost its power")
	}
	s.ran(n)
	n.badSince = s.now
}

func (s *Sim) powerOn(n *node) {
	if !n.power {
		n.power = true
		n.boot++
	}
}
