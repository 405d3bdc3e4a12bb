package keys

import (
	"context"
	"time"

	"paygate/server/api"
	"paygate/store/ledger"
)

type adminRow struct {
	Key       string     `json:"key"` // masked
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Role      string     `json:"role"`
	Active    bool       `json:"active"`
	CreatedAt time.Time  `json:"createdAt"`
	CreatedBy string     `json:"createdBy"`
	LastUsed  *time.Time `json:"lastUsedAt"` // since the gateway started
}

type adminsOut struct {
	Count int        `json:"count"`
	Keys  []adminRow `json:"keys"`
}

func (d *Directory) listAdmins(context.Context, api.None) (adminsOut, error) {
	d.admins.mu.RLock()
	defer d.admins.mu.RUnlock()
	out := adminsOut{Keys: []adminRow{}}
	for _, k := range d.admins.list {
		r := adminRow{Key: k.Masked, ID: k.ID, Name: k.Name, Role: k.Role, Active: !k.Revoked, CreatedAt: k.CreatedAt, CreatedBy: k.CreatedBy}
		if at, ok := d.admins.used[k.ID]; ok {
			r.LastUsed = &at
		}
		out.Keys = append(out.Keys, r)
	}
	out.Count = len(out.Keys)
	return out, nil
}

type adminIn struct {
	Name string `json:"name"`
	Role string `json:"role"`
}

type adminOut struct {
	Key       string    `json:"key"`
	Name      string    `json:"name"`
	Role      string    `json:"role"`
	CreatedAt time.Time `json:"createdAt"`
}

func (d *Directory) createAdmin(ctx context.Context, in adminIn) (adminOut, error) {
	name := cutText(in.Name, mostName)
	if name == "" {
		return adminOut{}, api.BadRequest("Missing name")
	}
	if in.Role == "" {
		in.Role = "admin"
	}
	if _, ok := api.RoleOf(in.Role); !ok {
		return adminOut{}, api.BadRequest("Invalid role: use super_admin, admin or viewer")
	}
	secret, err := d.random(16)
	if err != nil {
		return adminOut{}, err
	}
	secret = "ak_" + secret
	if err := d.addAdmin(ctx, secret, name, in.Role, api.ActorOf(ctx).ID, false); err != nil {
		return adminOut{}, err
	}
	return adminOut{Key: secret, Name: name, Role: in.Role, CreatedAt: d.opts.Now().UTC()}, nil
}

type revokedOut struct {
	Revoked bool `json:"revoked"`
}

// revokeAdmin ends an admin key, named by its secret, its id or its mask.
func (d *Directory) revokeAdmin(ctx context.Context, in keyIn) (revokedOut, error) {
	if in.Key == "" {
		return revokedOut{}, api.BadRequest("Missing key")
	}
	actor := api.ActorOf(ctx)
	err := d.opts.Book.Apply(ctx, func(tx *ledger.Tx) error {
		k, supers, err := pickAdmin(tx, in.Key)
		switch {
		case err != nil:
			return err
		case k == nil || k.Revoked:
			return api.BadRequest("Admin key not found or already revoked")
		case k.Masked == actor.ID:
			return api.BadRequest("Cannot revoke your own admin key")
		case k.Role == "super_admin" && supers <= 1:
			return api.BadRequest("Cannot revoke the last super_admin key")
		}
		k.Revoked = true
		if err := adminTable().Put(tx, k); err != nil {
			return err
		}
		return tx.Append(*event("admin_key.revoked", actor, map[string]any{"revokedKeyMasked": k.Masked}))
	})
	if err != nil {
		return revokedOut{}, err
	}
	return revokedOut{true}, d.admins.load(d.opts.Book.DB())
}

// pickAdmin finds an admin key and counts the super admins that work.
func pickAdmin(tx *ledger.Tx, name string) (found *AdminKey, supers int, err error) {
	for k, err := range adminTable().All(tx, "") {
		if err != nil {
			return nil, 0, err
		}
		if k.ID == name || k.Masked == name || k.Hash == hashOf(name) {
			found = k
		}
		if k.Role == "super_admin" && !k.Revoked {
			supers++
		}
	}
	return found, supers, nil
}

type rotatedOut struct {
	Rotated bool   `json:"rotated"`
	NewKey  string `json:"newKey"`
	Message string `json:"message"`
}

// rotateBootstrap replaces the bootstrap key; only it may ask, or the owner in
// the same process.
func (d *Directory) rotateBootstrap(ctx context.Context, _ api.None) (rotatedOut, error) {
	actor := api.ActorOf(ctx)
	d.admins.mu.RLock()
	allowed := actor.ID == "owner"
	for _, k := range d.admins.list {
		allowed = allowed || k.Bootstrap && !k.Revoked && k.Masked == actor.ID
	}
	d.admins.mu.RUnlock()
	if !allowed {
		return rotatedOut{}, api.BadRequest("Key is not the bootstrap admin key")
	}
	made, err := d.ResetAdmin(ctx, actor.ID)
	if err != nil {
		return rotatedOut{}, err
	}
	return rotatedOut{true, made, "Save this key now. It is shown only once. The old one no longer works."}, nil
}
