package shadow

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"paygate/store"
)

// CheckpointFile is the file in the state folder with what the lab has lived
// through, so that it goes on from there after a start. It has a writer of its
// own: the lab never waits on money nor money on it. It may be deleted at any
// time; then the journal is lived through again.
const CheckpointFile = "shadow.db"

const (
	saveEvery  = 5 * time.Second // at least
	saveShare  = 20              // and at most one part in so many of the time
	partBucket = "checkpoint"
)

// checkpoint saves. The lab goes on without when that fails: the journal has
// all there is, only the next start takes longer.
func (l *Lab) checkpoint() {
	if err := l.save(false); err != nil {
		l.o.Log.Warn("the lab's checkpoint could not be written; it is tried again in a minute", "error", err)
		l.mu.Lock()
		l.saveAt = l.o.Now().Add(time.Minute)
		l.mu.Unlock()
	}
}

// save writes a checkpoint if one is due. The walk goes on meanwhile: what is
// written is an image of it.
func (l *Lab) save(force bool) error {
	l.saving.Lock()
	defer l.saving.Unlock()
	l.mu.Lock()
	now := l.o.Now()
	if l.o.Dir == "" || l.j == nil || l.j.Place().Last == l.saved || !force && now.Before(l.saveAt) {
		l.mu.Unlock()
		return nil
	}
	i, err := l.j.image(true)
	if err == nil {
		i.Freeze()
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	err = l.write(i)
	l.mu.Lock()
	defer l.mu.Unlock()
	i.Thaw()
	if err != nil {
		return err
	}
	took := l.o.Now().Sub(now)
	l.saved, l.saveAt = i.Place().Last, now.Add(max(saveEvery, saveShare*took))
	return nil
}

// checkpointHead says where the newest whole checkpoint is.
type checkpointHead struct {
	Bucket string `json:"bucket"`
	Last   uint64 `json:"last"`
}

// partBuckets take turns, so that the former checkpoint is there until the next
// one is whole.
func partBuckets() [2]string { return [2]string{partBucket + "-0", partBucket + "-1"} }

// write writes an image a piece at a time, and in the end that it is whole.
func (l *Lab) write(i *image) error {
	db, err := l.file()
	if err != nil {
		return err
	}
	to := &pieceWriter{db: db, bucket: partBuckets()[0], during: l.during}
	err = db.View(func(s *store.Snapshot) error {
		if head(s).Bucket == to.bucket {
			to.bucket = partBuckets()[1]
		}
		return nil
	})
	if err == nil {
		err = db.Update(func(tx *store.Tx) error { return tx.Drop(to.bucket) })
	}
	if err == nil {
		err = i.encode(to)
	}
	if err == nil {
		err = to.flush(func(tx *store.Tx) error {
			raw, err := json.Marshal(checkpointHead{to.bucket, i.Place().Last})
			if err != nil {
				return err
			}
			return errors.Join(tx.Drop(partBucket), tx.Put(partBucket, headKey(), raw))
		})
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

func headKey() []byte { return []byte("head") }

func head(s *store.Snapshot) (h checkpointHead) {
	if json.Unmarshal(s.Get(partBucket, headKey()), &h) != nil {
		return checkpointHead{}
	}
	return h
}

// restore is the state of the last checkpoint; nil: there is none that can be
// gone on from. Behind mu.
func (l *Lab) restore() *journey {
	if l.o.Dir == "" {
		return nil
	}
	if _, err := os.Stat(filepath.Join(l.o.Dir, CheckpointFile)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	raw, err := l.parts()
	if list, _, failed := l.states(); failed == nil && len(list) > 0 {
		l.stateAt = list[len(list)-1].Last
	}
	if err == nil && raw == nil {
		return nil
	}
	if err == nil {
		j, bad := l.decode(raw, nil)
		if bad == nil {
			at := j.Place()
			l.saved, l.alarm = at.Last, at.Differences
			l.differs.Store(int64(at.Differences))
			return j
		}
		err = bad
	}
	l.o.Log.Warn("the lab's checkpoint is of no use; it lives through the journal again", "file", CheckpointFile, "error", err)
	return nil
}

func (l *Lab) parts() (raw pieces, err error) {
	db, err := l.file()
	if err != nil {
		return nil, err
	}
	err = db.View(func(s *store.Snapshot) error {
		if h := head(s); h.Bucket != "" {
			raw = parts(s, h.Bucket, nil)
		}
		return nil
	})
	return raw, err
}

// file is the open checkpoint file. One that is damaged is made anew: all that
// it had is in the journal.
func (l *Lab) file() (*store.DB, error) {
	l.files.Lock()
	defer l.files.Unlock()
	if l.db != nil {
		return l.db, nil
	}
	db, err := store.Open(l.o.Dir, store.Options{File: CheckpointFile})
	if errors.Is(err, store.ErrCorrupt) {
		if err = os.Remove(filepath.Join(l.o.Dir, CheckpointFile)); err == nil {
			db, err = store.Open(l.o.Dir, store.Options{File: CheckpointFile})
		}
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	l.db = db
	return db, nil
}

// Close writes a last checkpoint and lets go of its file.
func (l *Lab) Close() error {
	err := l.save(true)
	l.files.Lock()
	defer l.files.Unlock()
	if l.db != nil {
		err = errors.Join(err, l.db.Close())
		l.db = nil
	}
	return err
}
