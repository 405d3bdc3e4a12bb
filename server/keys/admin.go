package keys

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"time"

	"paygate/server/api"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// AdminKey is an admin key's record.
type AdminKey struct {
	ID        string    `json:"id"`
	Hash      string    `json:"hash"`
	Masked    string    `json:"masked"`
	Name      string    `json:"name"`
	Role      string    `json:"role"`
	Bootstrap bool      `json:"bootstrap,omitempty"` // the one that the gateway was started with
	Revoked   bool      `json:"revoked,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	CreatedBy string    `json:"createdBy"`
}

func adminTable() store.Table[AdminKey] {
	return store.Table[AdminKey]{Name: "adminkeys", Proved: true, ID: func(k *AdminKey) string { return k.ID },
		Unique: map[string]func(*AdminKey) []string{"secret": func(k *AdminKey) []string { return []string{k.Hash} }}}
}

// admins are the admin keys in memory.
type admins struct {
	mu   sync.RWMutex
	list []*AdminKey
	used map[string]time.Time // by id; since start

	second, failures int64 // failed logins of a second
}

func (a *admins) load(db *store.DB) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = nil
	if a.used == nil {
		a.used = map[string]time.Time{}
	}
	return adminTable().Load(db, func(k *AdminKey) error {
		a.list = append(a.list, k)
		return nil
	})
}

// AdminKey gives the masked name and the role of an admin key. It compares
// with every key in constant time, so that an answer's delay tells nothing.
func (d *Directory) AdminKey(secret string) (id string, role api.Role, ok bool) {
	hash := []byte(hashOf(secret))
	d.admins.mu.Lock()
	defer d.admins.mu.Unlock()
	for _, k := range d.admins.list {
		if subtle.ConstantTimeCompare(hash, []byte(k.Hash)) == 1 && !k.Revoked {
			if r, known := api.RoleOf(k.Role); known {
				id, role, ok = k.Masked, r, true
				d.admins.used[k.ID] = d.opts.Now()
			}
		}
	}
	return id, role, ok && secret != ""
}

// Holder gives the id of an API key that may look at its own account: one that
// is not revoked and not expired; a suspended one may read.
func (d *Directory) Holder(secret string) (id string, ok bool) {
	t, _ := d.Identify(secret)
	if t == nil {
		return "", false
	}
	return t.ID, true
}

// failuresPerSecond is how many failed logins are recorded, from wherever: they
// cost nothing, and must not be a way to fill the disk.
const failuresPerSecond = 20

// failed says whether one more failed login is recorded now.
func (a *admins) failed(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := now.Unix(); s != a.second {
		a.second, a.failures = s, 0
	}
	a.failures++
	return a.failures <= failuresPerSecond
}

// Failed records a failed admin login, and returns when it is on record.
func (d *Directory) Failed(actor, method, path string, role *api.Role, needed api.Role) {
	if !d.admins.failed(d.opts.Now()) {
		d.opts.Log.Debug("a failed login is not recorded: there were many in this second", "url", path)
		return
	}
	data := map[string]any{"url": path, "method": method}
	if role != nil {
		data["requiredRole"], data["currentRole"] = needed.String(), role.String()
	}
	e := event("admin.auth_failed", api.Actor{ID: actor}, data)
	if err := d.opts.Book.Apply(context.Background(), func(tx *ledger.Tx) error { return tx.Append(*e) }); err != nil {
		d.opts.Log.Warn("a failed login could not be recorded", "error", err)
	}
}

func maskSecret(secret string) string {
	if len(secret) < 12 {
		return "***"
	}
	return secret[:7] + "..." + secret[len(secret)-4:]
}

// Bootstrap makes sure that there is an admin key to begin with: the given
// one, or where none is given and none was made before, a new one, which is
// returned to be shown once. A given key that was rotated away stays dead.
func (d *Directory) Bootstrap(ctx context.Context, given string) (made string, err error) {
	d.admins.mu.RLock()
	have := len(d.admins.list) > 0
	known := false
	for _, k := range d.admins.list {
		known = known || k.Hash == hashOf(given)
	}
	d.admins.mu.RUnlock()
	switch {
	case given == "" && have, known:
		return "", nil
	case given == "":
		made, err := NewBootstrap(d.opts.Rand)
		if err != nil {
			return "", err
		}
		return made, d.addAdmin(ctx, made, "bootstrap", "super_admin", "system", true)
	}
	return "", d.addAdmin(ctx, given, "bootstrap", "super_admin", "system", true)
}

// NewBootstrap makes a bootstrap admin key.
func NewBootstrap(rand io.Reader) (string, error) {
	raw := make([]byte, 16)
	if _, err := io.ReadFull(rand, raw); err != nil {
		return "", fmt.Errorf("admin key: %w", err)
	}
	return "admin_" + hex.EncodeToString(raw), nil
}

func (d *Directory) addAdmin(ctx context.Context, secret, name, role, by string, bootstrap bool) error {
	err := d.opts.Book.Apply(ctx, func(tx *ledger.Tx) error {
		k := &AdminKey{ID: "adm_" + hashOf(secret)[:16], Hash: hashOf(secret), Masked: maskSecret(secret), Name: name, Role: role,
			Bootstrap: bootstrap, CreatedAt: tx.Now(), CreatedBy: by}
		if err := adminTable().Put(tx, k); err != nil {
			return err
		}
		return tx.Append(journal.Event{Type: "admin_key.created", Actor: by, Data: event("", api.Actor{}, map[string]any{"newKeyMasked": k.Masked, "role": role}).Data})
	})
	if err != nil {
		return err
	}
	return d.admins.load(d.opts.Book.DB())
}

// ResetAdmin revokes every bootstrap key and makes a new one: for an owner who
// has lost it and has the machine.
func (d *Directory) ResetAdmin(ctx context.Context, actor string) (string, error) {
	made, err := NewBootstrap(d.opts.Rand)
	if err != nil {
		return "", err
	}
	err = d.opts.Book.Apply(ctx, func(tx *ledger.Tx) error {
		var old []*AdminKey
		for k, err := range adminTable().All(tx, "") {
			if err != nil {
				return err
			}
			if k.Bootstrap && !k.Revoked {
				old = append(old, k)
			}
		}
		for _, k := range old {
			k.Revoked = true
			if err := adminTable().Put(tx, k); err != nil {
				return err
			}
		}
		k := &AdminKey{ID: "adm_" + hashOf(made)[:16], Hash: hashOf(made), Masked: maskSecret(made), Name: "bootstrap", Role: "super_admin",
			Bootstrap: true, CreatedAt: tx.Now(), CreatedBy: actor}
		if err := adminTable().Put(tx, k); err != nil {
			return err
		}
		return tx.Append(*event("admin_key.bootstrap_rotated", api.Actor{ID: actor}, map[string]any{"newKeyMasked": k.Masked}))
	})
	if err != nil {
		return "", err
	}
	return made, d.admins.load(d.opts.Book.DB())
}
