package config

import "strings"

// Masked is the configuration for people to read: secrets, commands and
// arguments are stars, URLs keep their scheme and host.
func (a *All) Masked() map[string]any {
	tools := map[string]any{}
	for name, t := range a.Tools {
		tools[name] = map[string]any{"creditsPerCall": t.Price.PerCall, "creditsPerKbInput": t.Price.PerKBIn, "creditsPerKbOutput": t.Price.PerKBOut,
			"rateLimitPerMin": t.RateLimit, "timeoutMs": t.Timeout.Milliseconds()}
	}
	servers := []map[string]any{}
	for _, s := range a.Servers {
		servers = append(servers, map[string]any{"prefix": s.Prefix, "serverCommand": stars(s.Command), "serverArgs": starsEach(s.Args), "remoteUrl": maskURL(s.URL),
			"env": starsAll(s.Env), "headers": starsAll(s.Headers), "cwd": s.Dir, "isolation": s.Isolation})
	}
	out := map[string]any{"name": a.Name, "host": a.Host, "port": a.Port, "stateDir": a.StateDir, "servers": servers, "defaultCreditsPerCall": a.DefaultCredits,
		"toolPricing": tools, "globalRateLimitPerMin": a.GlobalRateLimit, "freeMethods": orEmpty(a.FreeMethods), "shadowMode": a.ShadowMode,
		"announcePrices": a.AnnouncePrices, "refundOnFailure": a.RefundOnFailure,
		"globalQuota": map[string]int64{"dailyCallLimit": a.GlobalQuota.DailyCalls, "monthlyCallLimit": a.GlobalQuota.MonthlyCalls,
			"dailyCreditLimit": a.GlobalQuota.DailyCredits, "monthlyCreditLimit": a.GlobalQuota.MonthlyCredits},
		"trustedProxies": orEmpty(a.TrustedProxies), "customHeaders": a.CustomHeaders, "logLevel": a.LogLevel, "logFormat": a.LogFormat,
		"cors":             map[string]any{"origin": oneOrAll(a.CORSOrigin), "credentials": a.CORSCredentials, "maxAge": a.CORSMaxAge},
		"requestTimeoutMs": a.RequestTimeout.Milliseconds(), "headersTimeoutMs": a.HeaderTimeout.Milliseconds(), "keepAliveTimeoutMs": a.KeepAlive.Milliseconds(),
		"maxConnections": a.MaxConnections, "maxConnectionsPerAddress": a.MaxConnectionsPerAddress, "adminRateLimit": a.AdminRateLimit, "sessionRateLimit": a.SessionRateLimit, "publicRateLimit": a.PublicRateLimit,
		"toolTimeoutMs": a.ToolTimeout.Milliseconds(), "toolSeparator": a.Separator, "metricsNeedKey": a.MetricsNeedKey,
		"retentionDays": a.RetentionDays, "retentionMaxBytes": a.RetentionBytes}
	if a.GlobalQuota == (Quota{}) {
		out["globalQuota"] = nil
	}
	for _, name := range []string{"expiryScanner", "oauth", "webhookSecret", "webhookUrl"} { // clients know them; nothing is behind them here
		out[name] = nil
	}
	out["alertRules"], out["webhookFilters"], out["webhookMaxRetries"] = []string{}, []string{}, 0
	if len(a.Servers) == 1 { // as clients of one server know it
		out["serverCommand"], out["serverArgs"], out["remoteUrl"] = stars(a.Servers[0].Command), starsEach(a.Servers[0].Args), maskURL(a.Servers[0].URL)
	}
	return out
}

// oneOrAll is one text as such, as it is mostly written, or a list.
func oneOrAll(list []string) any {
	if len(list) == 1 {
		return list[0]
	}
	return orEmpty(list)
}

func stars(s string) string {
	if s == "" {
		return ""
	}
	return "***"
}

func starsEach(s []string) []string {
	out := make([]string, len(s))
	for i := range s {
		out[i] = "***"
	}
	return out
}

func starsAll(m map[string]string) map[string]string {
	out := map[string]string{}
	for k := range m {
		out[k] = "***"
	}
	return out
}

func maskURL(u string) string {
	if u == "" {
		return ""
	}
	scheme, rest, ok := strings.Cut(u, "://")
	if !ok {
		return "***"
	}
	host, _, _ := strings.Cut(rest, "/")
	if _, after, found := strings.Cut(host, "@"); found {
		host = after
	}
	return scheme + "://" + host + "/***"
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
