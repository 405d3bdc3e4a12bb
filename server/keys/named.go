package keys

import (
	"paygate/server/api"
	"paygate/store/ledger"
)

// keyIn names a key.
type keyIn struct {
	Key string `json:"key" query:"key"`
}

// Named finds the key that a request names: by its secret, its alias or its id.
// The error is one for the client.
func (d *Directory) Named(text string) (*Key, error) { return d.named(text) }

// named is Named.
func (d *Directory) named(text string) (*Key, error) {
	if text == "" {
		return nil, api.BadRequest("Missing key")
	}
	k, err := d.find(text)
	if err != nil {
		return nil, err
	}
	if k == nil {
		return nil, api.NotFound("Key not found")
	}
	return k, nil
}

// live finds a key that is neither revoked nor expired.
func (d *Directory) live(text string) (*Key, error) {
	k, err := d.named(text)
	if err != nil {
		return nil, err
	}
	if k.Revoked || k.expired(d.opts.Now()) {
		return nil, api.NotFound("Key not found or inactive")
	}
	return k, nil
}

// namedIn is named inside a mutation: the record as it is there, whatever else
// has just been done to the key.
func (d *Directory) namedIn(tx *ledger.Tx, text string) (*Key, error) {
	k, err := d.named(text)
	if err != nil {
		return nil, err
	}
	return d.table.Get(tx, k.ID)
}

// liveIn is live inside a mutation.
func (d *Directory) liveIn(tx *ledger.Tx, text string) (*Key, error) {
	k, err := d.namedIn(tx, text)
	if err != nil {
		return nil, err
	}
	if k.Revoked || k.expired(tx.Now()) {
		return nil, api.NotFound("Key not found or inactive")
	}
	return k, nil
}
