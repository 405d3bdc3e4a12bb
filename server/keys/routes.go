package keys

import (
	"paygate/server/api"
)

// Routes are the operations on keys, their credits and admin keys.
func (d *Directory) Routes() []api.Route {
	return []api.Route{
		api.Handle("POST", "/keys", api.Admin, "Create an API key; its secret is shown once", d.create).Created(),
		api.Handle("GET", "/keys", api.Viewer, "List API keys", d.list),
		api.Handle("POST", "/keys/search", api.Viewer, "Find keys by tags", d.search),
		api.Handle("GET", "/keys/stats", api.Viewer, "Count keys by state, sum their credits", d.stats),
		api.Handle("POST", "/keys/revoke", api.Admin, "Revoke a key for good", d.revoke),
		api.Handle("POST", "/keys/suspend", api.Admin, "Suspend a key", d.suspend),
		api.Handle("POST", "/keys/resume", api.Admin, "Resume a suspended key", d.resume),
		api.Handle("POST", "/keys/rotate", api.Admin, "Give a key a new secret", d.rotate),
		api.Handle("POST", "/keys/acl", api.Admin, "Set the tools a key may call", d.setACL),
		api.Handle("POST", "/keys/expiry", api.Admin, "Set when a key expires", d.setExpiry),
		api.Handle("POST", "/keys/quota", api.Admin, "Set a key's daily and monthly quota", d.setQuota),
		api.Handle("POST", "/keys/tags", api.Admin, "Set a key's tags", d.setTags),
		api.Handle("POST", "/keys/ip", api.Admin, "Set the addresses a key may call from", d.setIPs),
		api.Handle("POST", "/keys/alias", api.Admin, "Give a key another name to call it by", d.setAlias),
		api.Handle("POST", "/keys/name", api.Admin, "Rename a key", d.setName),
		api.Handle("POST", "/keys/plan", api.Admin, "Put a key on a plan of the price sheet; an empty plan takes it off", d.setPlan),
		api.Handle("POST", "/keys/group", api.Admin, "Put a key into a group, by which prices may differ", d.setGroup),
		api.Handle("GET", "/plans", api.Viewer, "What the plans of the live prices give, and how many keys are on them", d.plans),
		api.Handle("POST", "/limits", api.Admin, "Set what a key may spend in its life, and how many calls a minute it may make", d.setLimit),
		api.Handle("GET", "/keys/notes", api.Viewer, "Read a key's notes", d.notes),
		api.Handle("POST", "/keys/notes", api.Admin, "Add a note to a key", d.addNote).Created(),
		api.Handle("DELETE", "/keys/notes", api.Admin, "Delete a note", d.deleteNote),
		api.Handle("POST", "/topup", api.Admin, "Add credits to a key", d.topup),
		api.Handle("POST", "/keys/transfer", api.Admin, "Move credits from one key to another", d.transfer),
		api.Handle("GET", "/keys/reserve", api.Viewer, "List reservations", d.reservations),
		api.Handle("POST", "/keys/reserve", api.Admin, "Reserve credits of a key", d.reserve).Created(),
		api.Handle("POST", "/keys/reserve/commit", api.Admin, "Spend what was reserved", d.commit),
		api.Handle("POST", "/keys/reserve/release", api.Admin, "Give back what was reserved", d.release),
		api.Handle("GET", "/keys/rate-limit-status", api.Viewer, "Read a key's rate windows", d.rateStatus),
		api.Handle("GET", "/keys/quota-status", api.Viewer, "Read a key's quotas", d.quotaStatus),
		api.Handle("GET", "/balance", api.Key, "Read one's own balance and limits", d.balance),
		api.Handle("GET", "/admin/keys", api.Super, "List admin keys", d.listAdmins),
		api.Handle("POST", "/admin/keys", api.Super, "Create an admin key; it is shown once", d.createAdmin).Created(),
		api.Handle("POST", "/admin/keys/revoke", api.Super, "Revoke an admin key", d.revokeAdmin),
		api.Handle("POST", "/admin/keys/rotate-bootstrap", api.Super, "Replace the bootstrap admin key", d.rotateBootstrap),
	}
}
