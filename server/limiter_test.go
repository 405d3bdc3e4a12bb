package server

import (
	"net/netip"
	"testing"
)

// Whoever has one IPv6 address has a whole /64 of them.
func TestALimitPerAddressCountsWhatOneHostHas(t *testing.T) {
	t.Parallel()
	for _, pair := range []struct {
		a, b string
		same bool
	}{{"192.0.2.1", "192.0.2.2", false}, {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true}, {"2001:db8:1:2::1", "2001:db8:1:3::1", false}, {"fe80::1%eth0", "fe80::2%eth1", true}} {
		if same := vicinity(netip.MustParseAddr(pair.a)) == vicinity(netip.MustParseAddr(pair.b)); same != pair.same {
			t.Errorf("%s and %s count together: %t", pair.a, pair.b, same)
		}
	}
	if vicinity(netip.Addr{}) == "" {
		t.Error("no address has no name")
	}
}
