package config

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/pricing/filetree"
	"paygate/pricing/spelling"
)

// setting reads one value into its place, or says why it cannot.
type setting func(d *decoder, path string, n *filetree.Node)

// settings are the known members of an object.
type settings map[string]setting

// decoder collects everything that is wrong.
type decoder struct {
	file  string
	found []Diagnostic
}

func (d *decoder) bad(n *filetree.Node, path, format string, args ...any) {
	d.found = append(d.found, Diagnostic{File: d.file, Line: n.Line, Column: n.Column, Field: path, Level: Bad, Message: fmt.Sprintf(format, args...)})
}

// object reads the members of an object; what is unknown is said with the
// nearest name, what is known but not built with a sentence.
func (d *decoder) object(path string, n *filetree.Node, known settings, later map[string]string) {
	if n.Kind != filetree.Object {
		d.bad(n, path, "must be an object, not %s", n.Kind)
		return
	}
	for _, m := range n.Members {
		at := strings.TrimPrefix(path+"."+m.Name, ".")
		if set := known[m.Name]; set != nil {
			set(d, at, m.Value)
			continue
		}
		finding := Diagnostic{File: d.file, Line: m.Line, Column: m.Column, Field: at, Level: Bad, Message: "there is no such setting"}
		if feature := later[m.Name]; feature != "" {
			finding.Message = "this version has no " + feature + " yet; remove the setting"
		} else if near := spelling.Nearest(m.Name, slices.Sorted(maps.Keys(known))); near != "" {
			finding.Suggestion = fmt.Sprintf("did you mean %q?", near)
		}
		d.found = append(d.found, finding)
	}
}

func str(to *string) setting {
	return func(d *decoder, path string, n *filetree.Node) {
		typed := n.Line == 0 && (n.Kind == filetree.Number || n.Kind == filetree.Boolean) // a variable has no quotes
		if n.Kind != filetree.Text && !typed {
			d.bad(n, path, "must be text, not %s", n.Kind)
			return
		}
		*to = n.Text
	}
}

func word(to *string, of ...string) setting {
	return func(d *decoder, path string, n *filetree.Node) {
		if n.Kind != filetree.Text || !slices.Contains(of, n.Text) {
			d.bad(n, path, "must be one of %s", strings.Join(of, ", "))
			return
		}
		*to = n.Text
	}
}

func yes(to *bool) setting {
	return func(d *decoder, path string, n *filetree.Node) {
		if n.Kind != filetree.Boolean {
			d.bad(n, path, "must be true or false, not %s", n.Kind)
			return
		}
		*to = n.Text == "true"
	}
}

func whole[T ~int | ~int64](to *T, least, most int64) setting {
	return func(d *decoder, path string, n *filetree.Node) {
		v, err := strconv.ParseInt(n.Text, 10, 64)
		if n.Kind != filetree.Number || err != nil || v < least || v > most {
			d.bad(n, path, "must be a whole number from %d to %d", least, most)
			return
		}
		*to = T(v)
	}
}

func credits(to *pricing.Credits) setting { return whole(to, 0, int64(pricing.MaxCredits)) }

// span reads a number of units: milliseconds, seconds.
func span(to *time.Duration, unit time.Duration, most int64) setting {
	return func(d *decoder, path string, n *filetree.Node) {
		v := int64(-1)
		if whole(&v, 0, most)(d, path, n); v >= 0 {
			*to = time.Duration(v) * unit
		}
	}
}

func texts(to *[]string) setting {
	return func(d *decoder, path string, n *filetree.Node) {
		if n.Kind != filetree.List {
			d.bad(n, path, "must be a list of texts, not %s", n.Kind)
			return
		}
		*to = make([]string, len(n.Items))
		for i, item := range n.Items {
			str(&(*to)[i])(d, fmt.Sprintf("%s[%d]", path, i), item)
		}
	}
}

func pairs(to *map[string]string) setting {
	return func(d *decoder, path string, n *filetree.Node) {
		if n.Kind != filetree.Object {
			d.bad(n, path, "must be an object of texts, not %s", n.Kind)
			return
		}
		*to = map[string]string{}
		for _, m := range n.Members {
			v := ""
			str(&v)(d, path+"."+m.Name, m.Value)
			(*to)[m.Name] = v
		}
	}
}

func addresses(to *[]string) setting {
	return func(d *decoder, path string, n *filetree.Node) {
		texts(to)(d, path, n)
		for i, a := range *to {
			if _, err := netip.ParseAddr(a); err == nil {
				continue
			}
			if _, err := netip.ParsePrefix(a); err != nil {
				d.bad(n.Items[i], fmt.Sprintf("%s[%d]", path, i), "%q is neither an address such as 10.0.0.1 nor a range such as 10.0.0.0/8", a)
			}
		}
	}
}

// schema is every setting of a file, reading into a.
func schema(a *All) settings {
	var one Server
	solo := func(set setting) setting { // serverCommand and its like describe the only server
		return func(d *decoder, path string, n *filetree.Node) {
			set(d, path, n)
			if len(a.Servers) == 0 {
				a.Servers = []Server{{}}
			}
			a.Servers[0] = one
		}
	}
	s := settings{
		"name": str(&a.Name), "serverCommand": solo(str(&one.Command)), "serverArgs": solo(texts(&one.Args)), "remoteUrl": solo(str(&one.URL)),
		"env": solo(pairs(&one.Env)), "cwd": solo(str(&one.Dir)), "headers": solo(pairs(&one.Headers)),
		"isolation": solo(word(&one.Isolation, "session", "shared")),
		"servers":   servers(&a.Servers), "host": str(&a.Host), "port": whole(&a.Port, 0, 65535), "stateDir": str(&a.StateDir),
		"adminKey": str(&a.AdminKey), "defaultCreditsPerCall": credits(&a.DefaultCredits), "toolPricing": tools(&a.Tools),
		"globalRateLimitPerMin": whole(&a.GlobalRateLimit, 0, 100000), "freeMethods": texts(&a.FreeMethods),
		"shadowMode": yes(&a.ShadowMode), "announcePrices": yes(&a.AnnouncePrices), "refundOnFailure": yes(&a.RefundOnFailure),
		"globalQuota": quota(&a.GlobalQuota), "trustedProxies": addresses(&a.TrustedProxies), "customHeaders": pairs(&a.CustomHeaders),
		"logLevel": word(&a.LogLevel, "debug", "info", "warn", "error"), "logFormat": word(&a.LogFormat, "text", "json"),
		"cors": cors(a), "requestTimeoutMs": span(&a.RequestTimeout, time.Millisecond, 3600_000),
		"headersTimeoutMs": span(&a.HeaderTimeout, time.Millisecond, 3600_000), "keepAliveTimeoutMs": span(&a.KeepAlive, time.Millisecond, 3600_000),
		"maxConnections": whole(&a.MaxConnections, 1, math.MaxInt32), "maxConnectionsPerAddress": whole(&a.MaxConnectionsPerAddress, 0, math.MaxInt32), "adminRateLimit": whole(&a.AdminRateLimit, 0, 1_000_000),
		"sessionRateLimit": whole(&a.SessionRateLimit, 0, 1_000_000), "publicRateLimit": whole(&a.PublicRateLimit, 0, 1_000_000),
		"toolTimeoutMs": span(&a.ToolTimeout, time.Millisecond, 86_400_000), "toolSeparator": word(&a.Separator, ":", "_", "/", ".", "-"),
		"importKeys": imports(&a.ImportKeys), "metricsNeedKey": yes(&a.MetricsNeedKey),
		"retentionDays": whole(&a.RetentionDays, 0, 36500), "retentionMaxBytes": whole(&a.RetentionBytes, 0, math.MaxInt64),
	}
	return s
}

// later are the settings of features that are not built.
func later() map[string]string {
	return map[string]string{"webhookUrl": "webhooks", "webhookSecret": "webhooks", "webhookMaxRetries": "webhooks", "webhookSsrfAtDelivery": "webhooks",
		"webhookFilters": "webhooks", "oauth": "OAuth", "alertRules": "alerts", "expiryScanner": "expiry scanner", "maxRequestsPerSocket": "limit of requests a connection",
		"billTaskCreation": "charge for creating tasks (a task is charged when it completes)", "cacheTtlSeconds": "cache", "maxCacheEntries": "cache",
		"circuitBreakerThreshold": "circuit breaker", "circuitBreakerCooldownSeconds": "circuit breaker", "guardrails": "guardrails",
		"geoCountryHeader": "country lists", "maxConcurrentPerKey": "concurrency caps", "maxConcurrentPerTool": "concurrency caps",
		"mirror": "traffic mirror", "stripe": "Stripe payments", "redisUrl": "Redis mode"}
}

func servers(to *[]Server) setting {
	return func(d *decoder, path string, n *filetree.Node) {
		if n.Kind != filetree.List {
			d.bad(n, path, "must be a list of servers, not %s", n.Kind)
			return
		}
		*to = make([]Server, len(n.Items))
		for i, item := range n.Items {
			s := &(*to)[i]
			d.object(fmt.Sprintf("%s[%d]", path, i), item, settings{"prefix": str(&s.Prefix), "serverCommand": str(&s.Command), "serverArgs": texts(&s.Args),
				"remoteUrl": str(&s.URL), "env": pairs(&s.Env), "cwd": str(&s.Dir), "headers": pairs(&s.Headers), "isolation": word(&s.Isolation, "session", "shared")}, nil)
		}
	}
}

func tools(to *map[string]Tool) setting {
	return func(d *decoder, path string, n *filetree.Node) {
		if n.Kind != filetree.Object {
			d.bad(n, path, "must be an object of tools, not %s", n.Kind)
			return
		}
		*to = map[string]Tool{}
		for _, m := range n.Members {
			var t Tool
			d.object(path+"."+m.Name, m.Value, settings{"creditsPerCall": credits(&t.Price.PerCall), "creditsPerKbInput": credits(&t.Price.PerKBIn),
				"creditsPerKbOutput": credits(&t.Price.PerKBOut), "rateLimitPerMin": whole(&t.RateLimit, 0, 100000),
				"timeoutMs": span(&t.Timeout, time.Millisecond, 86_400_000)}, map[string]string{"cacheTtlSeconds": "cache"})
			(*to)[m.Name] = t
		}
	}
}

func quota(to *Quota) setting {
	return func(d *decoder, path string, n *filetree.Node) {
		most := int64(pricing.MaxCredits)
		d.object(path, n, settings{"dailyCallLimit": whole(&to.DailyCalls, 0, most), "monthlyCallLimit": whole(&to.MonthlyCalls, 0, most),
			"dailyCreditLimit": whole(&to.DailyCredits, 0, most), "monthlyCreditLimit": whole(&to.MonthlyCredits, 0, most)}, nil)
	}
}

func cors(a *All) setting {
	return func(d *decoder, path string, n *filetree.Node) {
		origin := func(d *decoder, path string, n *filetree.Node) {
			if n.Kind == filetree.Text {
				a.CORSOrigin = []string{n.Text}
				return
			}
			texts(&a.CORSOrigin)(d, path, n)
		}
		d.object(path, n, settings{"origin": origin, "credentials": yes(&a.CORSCredentials), "maxAge": whole(&a.CORSMaxAge, 0, 86400)}, nil)
	}
}

func imports(to *map[string]pricing.Credits) setting {
	return func(d *decoder, path string, n *filetree.Node) {
		if n.Kind != filetree.Object {
			d.bad(n, path, "must be an object of keys and credits, not %s", n.Kind)
			return
		}
		*to = map[string]pricing.Credits{}
		for _, m := range n.Members {
			var c pricing.Credits
			credits(&c)(d, path, m.Value) // the name is a secret
			(*to)[m.Name] = c
		}
	}
}
