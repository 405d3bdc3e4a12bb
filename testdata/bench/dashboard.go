package main

import (
	"fmt"
	"time"
)

// dashboard compares the throughput of a headless gateway with one whose
// dashboard is drawn beside it, in a terminal of 160 by 45, and with one that
// a dashboard of another process is attached to.
func (b *bench) dashboard() int {
	defer b.stop()
	headless, _ := b.gateway("headless", false)
	targets := []target{headless}
	var screens []*screen
	for _, view := range []struct{ name, key string }{{"Overview", "1"}, {"Calls", "2"}} {
		t, on, err := b.drawn("dashboard, "+view.name, view.key)
		if err != nil {
			fmt.Printf("ABSENT dashboard: not measured: %v\n", err)
			return 0
		}
		targets, screens = append(targets, t), append(screens, on)
	}
	attached, _ := b.gateway("attached, Overview", false)
	attached.also = b.attach(attached, "1", &screens)
	targets = append(targets, attached)
	for _, t := range targets {
		load(t, b.conns, b.length)
	}
	rates, costs := make([][]float64, len(targets)), make([][]float64, len(targets))
	for round := range b.rounds {
		for i := range targets { // each is the first as often as any
			i = (i + round) % len(targets)
			r := load(targets[i], b.conns, b.length)
			rates[i], costs[i] = append(rates[i], r.perSecond), append(costs[i], microseconds(r.cpu.all()))
			fmt.Printf("round %d %-22s %8.0f calls/s  p99 %6.2f ms  %d failed  %s\n", round+1, targets[i].name, r.perSecond, ms(r.p99), r.bad, r.cpu)
		}
	}
	missed := 0
	for i, t := range targets[1:] {
		if n := screens[i].written.Load(); n < leastDrawn {
			fmt.Printf("MISSED %s has drawn only %d bytes\n", t.name, n)
			missed++
		}
		of := ratios(rates[i+1], rates[0])
		missed += bar(t.name+" / headless", of >= ofHeadless, fmt.Sprintf("%.1f %%", 100*of), percent(ofHeadless))
		fmt.Printf("       CPU of a call, %s / headless: %.1f %%\n", t.name, 100*ratios(costs[i+1], costs[0]))
	}
	return missed
}

// leastDrawn is what the first frame of a dashboard alone takes.
const leastDrawn = 2000

// drawn starts a gateway with its dashboard beside it, on one of its views.
func (b *bench) drawn(name, view string) (target, *screen, error) {
	on, err := openScreen(160, 45)
	if err != nil {
		return target{}, nil, err
	}
	t, _ := b.gatewayOn(on, name, false)
	return t, on, on.show(view)
}

// attach starts a dashboard on a gateway and gives its process.
func (b *bench) attach(t target, view string, screens *[]*screen) int {
	on, err := openScreen(160, 45)
	if err != nil {
		return 0
	}
	cmd := b.startOn(on, b.bin, "attach", t.url[:len(t.url)-len("/mcp")], "--admin-key", admin)
	*screens = append(*screens, on)
	if err := on.show(view); err != nil {
		fmt.Printf("       attach: %v\n", err)
	}
	return cmd.Process.Pid
}

// show waits until a dashboard is drawn and turns to one of its views.
func (s *screen) show(view string) error {
	for range 100 {
		if s.written.Load() >= leastDrawn {
			return s.press(view)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("the dashboard was not drawn within 5 s")
}
