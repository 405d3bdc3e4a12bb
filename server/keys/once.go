package keys

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"paygate/server/api"
	"paygate/store"
	"paygate/store/ledger"
)

// answered is what an Idempotency-Key stands for: the first answer.
type answered struct {
	ID     string          `json:"id"`
	Body   string          `json:"body"` // SHA-256 of what was asked
	Answer json.RawMessage `json:"answer"`
	At     time.Time       `json:"at"`
}

func answers() store.Table[answered] {
	return store.Table[answered]{Name: "answers", Proved: true, ID: func(a *answered) string { return a.ID }}
}

// mostOnce is the longest Idempotency-Key.
const mostOnce = 255

// once runs a money operation. With an Idempotency-Key the same request gets
// the first one's answer and nothing happens again; another request under the
// same key is refused. The answer is stored in the transaction itself, so a
// kill between the two cannot happen.
func once[T any](ctx context.Context, d *Directory, fn func(tx *ledger.Tx, a api.Actor) (T, error)) (T, error) {
	var out T
	actor := api.ActorOf(ctx)
	if len(actor.Once) > mostOnce {
		return out, api.BadRequest("Idempotency-Key is longer than %d characters", mostOnce)
	}
	err := d.opts.Book.Apply(ctx, func(tx *ledger.Tx) error {
		if actor.Once == "" {
			var err error
			out, err = fn(tx, actor)
			return err
		}
		record := answered{ID: digest(actor.ID, actor.Endpoint, actor.Once), Body: digest(string(actor.Body)), At: tx.Now()}
		if first, err := answers().Get(tx, record.ID); err == nil {
			if first.Body != record.Body {
				return api.Unprocessable("This Idempotency-Key was used for another request; use a new one")
			}
			return json.Unmarshal(first.Answer, &out)
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		var err error
		out, err = fn(tx, actor)
		if errors.Is(err, ledger.ErrReplayed) { // its answer has been forgotten since
			return api.Conflict("This was done before under the same Idempotency-Key, too long ago for its answer to be kept")
		}
		if err != nil {
			return err
		}
		if record.Answer, err = json.Marshal(out); err != nil {
			return err
		}
		return answers().Put(tx, &record)
	})
	return out, err
}

// mostAnswerAge is how long an Idempotency-Key gives the first answer again.
// After that the ledger itself still refuses what was done already.
const mostAnswerAge = 30 * 24 * time.Hour

// ForgetAnswers deletes answers that nobody asks for again, some at a time.
func (d *Directory) ForgetAnswers(ctx context.Context) error {
	const atOnce = 500
	for more := true; more; {
		err := d.opts.Book.Apply(ctx, func(tx *ledger.Tx) error {
			var old []string
			for a, err := range answers().All(tx, "") {
				if err != nil {
					return err
				}
				if tx.Now().Sub(a.At) > mostAnswerAge {
					if old = append(old, a.ID); len(old) == atOnce {
						break
					}
				}
			}
			for _, id := range old {
				if err := answers().Delete(tx, id); err != nil {
					return err
				}
			}
			more = len(old) == atOnce
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// entryID names a money operation's entry: by its Idempotency-Key if there is
// one, so that the ledger itself refuses a second one.
func (d *Directory) entryID(kind string, a api.Actor) (string, error) {
	if a.Once != "" {
		return kind + ":" + digest(a.ID, a.Endpoint, a.Once), nil
	}
	id, err := d.random(8)
	return kind + ":" + id, err
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}
