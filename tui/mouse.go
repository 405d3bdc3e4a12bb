package tui

import tea "charm.land/bubbletea/v2"

// wheelMsg moves the list of a screen.
type wheelMsg struct{ by int }

// mouse presses what was drawn under the pointer; the wheel scrolls.
func (m *Model) mouse(msg tea.MouseMsg) tea.Cmd {
	at := msg.Mouse()
	switch msg.(type) {
	case tea.MouseWheelMsg:
		by := 3
		if at.Button == tea.MouseWheelUp {
			by = -3
		} else if at.Button != tea.MouseWheelDown {
			return nil
		}
		if len(m.dialogs) > 0 {
			press := "down"
			if by < 0 {
				press = "up"
			}
			return m.pressDialog(press, "")
		}
		return m.screens[m.at].Update(wheelMsg{by})
	case tea.MouseClickMsg:
		zone, ok := m.canvas.At(at.X, at.Y)
		if !ok || at.Button != tea.MouseLeft {
			return nil
		}
		return m.clicked(zone.Hit)
	}
	return nil
}

func (m *Model) clicked(hit any) tea.Cmd {
	if len(m.dialogs) > 0 {
		return m.clickedDialog(hit)
	}
	switch hit := hit.(type) {
	case tabHit:
		m.bar = nil
		return m.show(hit.i)
	case keyHit:
		if m.bar != nil {
			return m.bar.press(hit.press, "")
		}
		return m.hit(hit.press)
	}
	return m.screens[m.at].Update(hit)
}

func (m *Model) clickedDialog(hit any) tea.Cmd {
	switch hit := hit.(type) {
	case keyHit:
		return m.pressDialog(hit.press, "")
	case rowHit:
		if p, ok := m.dialogs[len(m.dialogs)-1].(*pick); ok {
			again := p.list.cur == hit.i
			p.list.to(hit.i)
			if again {
				return m.pressDialog("enter", "")
			}
		}
	case fieldHit:
		if f, ok := m.dialogs[len(m.dialogs)-1].(*form); ok {
			f.at = hit.i
			if hit.i >= len(f.fields) {
				return m.pressDialog("enter", "")
			}
		}
	}
	return nil
}
