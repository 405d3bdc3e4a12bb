package ipaccess_test

import (
	"net/netip"
	"testing"

	"paygate/server/feature/ipaccess"
	"paygate/server/gate"
	"paygate/server/keys"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		list []string
		from string
		want string
	}{
		{nil, "203.0.113.9", ""},
		{[]string{"203.0.113.9"}, "203.0.113.9", ""},
		{[]string{"203.0.113.9"}, "::ffff:203.0.113.9", ""},
		{[]string{"203.0.113.9"}, "203.0.113.10", "ip_not_allowed"},
		{[]string{"203.0.113.0/24"}, "203.0.113.77", ""},
		{[]string{"2001:db8::/32"}, "2001:db8::1", ""},
		{[]string{"2001:db8::/32"}, "2001:db9::1", "ip_not_allowed"},
		{[]string{"nonsense"}, "203.0.113.9", "ip_not_allowed"},
	} {
		call := &gate.Call{Terms: &keys.Terms{IPs: c.list}, Addr: netip.MustParseAddr(c.from)}
		got := ""
		if d := ipaccess.Check().Do(call); d != nil {
			got = d.Reason
		}
		if got != c.want {
			t.Errorf("%q from %s: %q, want %q", c.list, c.from, got, c.want)
		}
	}
}
