// Package ipaccess keeps a key to the addresses on its list: single addresses
// and CIDR ranges, both families. A key without a list may call from anywhere.
package ipaccess

import (
	"net/netip"

	"paygate/server/gate"
)

// Check refuses a call from an address that is not on its key's list. An
// entry that is no address matches nothing, so a list of typing mistakes locks
// a key rather than opening it.
func Check() gate.Check {
	return gate.Check{Name: "ipaccess", Do: func(c *gate.Call) *gate.Denial {
		if len(c.Terms.IPs) == 0 || allowed(c.Terms.IPs, c.Addr) {
			return nil
		}
		return gate.Deny("ip_not_allowed")
	}}
}

func allowed(list []string, addr netip.Addr) bool {
	addr = addr.Unmap() // an IPv4 caller on a dual-stack socket
	for _, entry := range list {
		if one, err := netip.ParseAddr(entry); err == nil && one.Unmap() == addr {
			return true
		}
		if many, err := netip.ParsePrefix(entry); err == nil && many.Contains(addr) {
			return true
		}
	}
	return false
}
