package tui

// Take hands a frame of the live stream to the dashboard, as its stream does.
func (m *Model) Take(data []byte) {
	if frame, ok := m.feed.take(data, m.now()); ok {
		for _, s := range m.screens {
			s.Update(frame)
		}
	}
}

// Redraw makes the next View draw.
func (m *Model) Redraw() { m.dirty = true }
