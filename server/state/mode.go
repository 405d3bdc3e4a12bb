package state

import (
	"context"
	"errors"

	"paygate/store"
	"paygate/store/ledger"
)

// toldMode remembers what the configuration said about shadow mode, so that a
// switch made while running holds until the configuration says another thing.
type toldMode struct {
	ID     string `json:"id"`
	Shadow bool   `json:"shadow"`
}

func modes() store.Table[toldMode] {
	return store.Table[toldMode]{Name: "mode", Proved: true, ID: func(m *toldMode) string { return m.ID }}
}

// NewsOfMode says whether the configuration says another mode than when it was
// last asked, and remembers it.
func NewsOfMode(ctx context.Context, book *ledger.Book, shadow bool) (news bool, err error) {
	const file = "file"
	err = book.Apply(ctx, func(tx *ledger.Tx) error {
		was, err := modes().Get(tx, file)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if news = err != nil || was.Shadow != shadow; !news {
			return nil
		}
		return modes().Put(tx, &toldMode{ID: file, Shadow: shadow})
	})
	return news, err
}
