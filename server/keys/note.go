package keys

import (
	"context"
	"slices"

	"paygate/server/api"
	"paygate/store/journal"
	"paygate/store/ledger"
)

const (
	mostNotes = 50
	mostNote  = 1000
)

type notesOut struct {
	Key   string `json:"key"`
	Count int    `json:"count"`
	Notes []Note `json:"notes"`
}

func (d *Directory) notes(_ context.Context, in keyIn) (notesOut, error) {
	k, err := d.named(in.Key)
	if err != nil {
		return notesOut{}, err
	}
	return notesOut{k.shown(), len(k.Notes), append([]Note{}, k.Notes...)}, nil
}

type noteIn struct {
	keyIn
	Text string `json:"text"`
}

type noteOut struct {
	Note  Note `json:"note"`
	Count int  `json:"count"`
}

func (d *Directory) addNote(ctx context.Context, in noteIn) (noteOut, error) {
	if in.Key == "" {
		return noteOut{}, api.BadRequest("Missing key")
	}
	text := cutText(in.Text, mostNote+1)
	switch {
	case text == "":
		return noteOut{}, api.BadRequest("Missing text")
	case len([]rune(text)) > mostNote:
		return noteOut{}, api.BadRequest("Note is longer than %d characters", mostNote)
	}
	k, err := d.named(in.Key)
	if err != nil {
		return noteOut{}, err
	}
	var note Note
	k, err = d.change(ctx, k.ID, func(tx *ledger.Tx, k *Key) (*journal.Event, error) {
		if len(k.Notes) >= mostNotes {
			return nil, api.BadRequest("Maximum %d notes per key", mostNotes)
		}
		note = Note{Author: api.ActorOf(ctx).ID, Text: text, Timestamp: tx.Now()}
		k.Notes = append(k.Notes, note)
		return event("key.note_added", api.ActorOf(ctx), map[string]any{"key": k.Prefix, "text": cutText(text, 100)}), nil
	})
	if err != nil {
		return noteOut{}, err
	}
	return noteOut{note, len(k.Notes)}, nil
}

type deleteNoteIn struct {
	keyIn
	Index api.Number `query:"index" json:"index"`
}

type deleteNoteOut struct {
	Deleted   Note `json:"deleted"`
	Remaining int  `json:"remaining"`
}

func (d *Directory) deleteNote(ctx context.Context, in deleteNoteIn) (deleteNoteOut, error) {
	k, err := d.named(in.Key)
	if err != nil {
		return deleteNoteOut{}, err
	}
	var gone Note
	k, err = d.change(ctx, k.ID, func(tx *ledger.Tx, k *Key) (*journal.Event, error) {
		i := int(in.Index.Or(-1, -1, mostNotes))
		if i < 0 || i >= len(k.Notes) {
			return nil, api.BadRequest("Invalid index")
		}
		gone = k.Notes[i]
		k.Notes = slices.Delete(slices.Clone(k.Notes), i, i+1)
		return event("key.note_deleted", api.ActorOf(ctx), map[string]any{"key": k.Prefix, "text": cutText(gone.Text, 100), "index": i}), nil
	})
	if err != nil {
		return deleteNoteOut{}, err
	}
	return deleteNoteOut{gone, len(k.Notes)}, nil
}
