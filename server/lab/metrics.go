package lab

import (
	"github.com/prometheus/client_golang/prometheus"

	"paygate/shadow"
)

// metrics are gauges of every experiment. They are shown only to who has an
// admin key: agents must not learn what candidates ask.
type metrics struct {
	lab                                      *shadow.Lab
	attempts, coverage, lag, differs, denied *prometheus.Desc
	credits, alarm                           *prometheus.Desc
}

// Metrics are the experiments' gauges.
func (l *Lab) Metrics() *prometheus.Registry {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("paygate_shadow_"+name, help, append([]string{"experiment", "state"}, labels...), nil)
	}
	m := &metrics{lab: l.o.Lab,
		attempts: desc("attempts", "Calls that the candidate has lived through."),
		coverage: desc("coverage_ratio", "Share of the attempts that it has judged; a report needs 1."),
		lag:      desc("lag_acts", "Acts of the journal that are not in yet."),
		differs:  desc("self_difference", "Decisions in which the shadow of the live sheet differs from what happened; anything but 0 is an alarm."),
		denied:   desc("newly_denied", "Calls that the candidate refuses and live admits."),
		credits:  desc("collectable_credits", "What is collected by the live sheet and by the candidate.", "sheet")}
	m.alarm = prometheus.NewDesc("paygate_self_shadow_difference", "Decisions and charges in which the shadow of the live sheet differs from what happened, also while no experiment runs; anything but 0 is an alarm.", nil, nil)
	r := prometheus.NewRegistry()
	r.MustRegister(m)
	return r
}

// Describe is prometheus.Collector's.
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.attempts, m.coverage, m.lag, m.differs, m.denied, m.credits, m.alarm} {
		to <- d
	}
}

// Collect is prometheus.Collector's.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.MustNewConstMetric(m.alarm, prometheus.GaugeValue, float64(m.lab.Differences()))
	for _, e := range m.lab.Latest() {
		set := func(d *prometheus.Desc, value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{e.Name, e.State}, labels...)...)
		}
		set(m.attempts, float64(e.Attempts))
		set(m.coverage, e.Coverage)
		set(m.lag, float64(e.Lag))
		set(m.differs, float64(e.SelfDifference))
		set(m.denied, float64(e.NewlyDenied))
		set(m.credits, float64(e.LiveCredits), "live")
		set(m.credits, float64(e.Credits), "candidate")
	}
}
