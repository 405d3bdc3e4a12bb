package store

import (
	"bytes"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// Snapshot reads buckets: sorted maps of bytes to bytes. A bucket that was
// never written is empty.
type Snapshot struct {
	tx *bolt.Tx

	logs   *DB     // of a Log, which has no transaction
	record *record // that it makes
}

// Tx is a Snapshot that can also write.
type Tx struct {
	Snapshot
	db     *DB
	undo   []former // what Attempt takes back
	noting bool

	versions []Version // of records of proved tables, since Attempt began
}

// former is what a key had before it was written.
type former struct {
	bucket     string
	key, value []byte
	was        bool
}

// Attempt runs fn and takes back what it has written when it fails, so that
// several mutations can share one transaction.
func (t *Tx) Attempt(fn func() error) error {
	t.undo, t.versions, t.noting = t.undo[:0], nil, true
	err := fn()
	t.noting = false
	if err == nil {
		return nil
	}
	for i := len(t.undo) - 1; i >= 0; i-- {
		f := t.undo[i]
		var undone error
		if f.was {
			undone = t.Put(f.bucket, f.key, f.value)
		} else {
			undone = t.Delete(f.bucket, f.key)
		}
		if undone != nil {
			return errors.Join(err, undone)
		}
	}
	return err
}

func (t *Tx) note(bucket string, key []byte) {
	if !t.noting {
		return
	}
	value := t.Get(bucket, key)
	t.undo = append(t.undo, former{bucket, bytes.Clone(key), bytes.Clone(value), value != nil})
}

// Get is the value of a key, or nil. It is valid until the transaction ends.
func (s *Snapshot) Get(bucket string, key []byte) []byte {
	if s.record != nil {
		return s.logs.logged(s.record, bucket, key)
	}
	b := s.tx.Bucket([]byte(bucket))
	if b == nil {
		return nil
	}
	return b.Get(key)
}

// Ascend goes through a bucket from the first key at or after from, until fn
// returns false.
func (s *Snapshot) Ascend(bucket string, from []byte, fn func(key, value []byte) bool) {
	b := s.tx.Bucket([]byte(bucket))
	if b == nil {
		return
	}
	c := b.Cursor()
	for k, v := c.Seek(from); k != nil; k, v = c.Next() {
		if !fn(k, v) {
			return
		}
	}
}

// Descend goes through a bucket backwards from the last key at or before from
// (nil: the last of all), until fn returns false.
func (s *Snapshot) Descend(bucket string, from []byte, fn func(key, value []byte) bool) {
	b := s.tx.Bucket([]byte(bucket))
	if b == nil {
		return
	}
	c := b.Cursor()
	var k, v []byte
	if from == nil {
		k, v = c.Last()
	} else if k, v = c.Seek(from); k == nil {
		k, v = c.Last()
	} else if !bytes.Equal(k, from) {
		k, v = c.Prev()
	}
	for ; k != nil; k, v = c.Prev() {
		if !fn(k, v) {
			return
		}
	}
}

// Buckets names every bucket.
func (s *Snapshot) Buckets() []string {
	var names []string
	c := s.tx.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		names = append(names, string(k))
	}
	return names
}

// Put writes a value.
func (t *Tx) Put(bucket string, key, value []byte) error {
	if t.record != nil {
		t.record.add(changePut, bucket, key, value)
		return nil
	}
	t.note(bucket, key)
	t.keep(bucket, key)
	b, err := t.tx.CreateBucketIfNotExists([]byte(bucket))
	if err != nil {
		return fmt.Errorf("bucket %s: %w", bucket, err)
	}
	if err := b.Put(key, value); err != nil {
		return fmt.Errorf("bucket %s: %w", bucket, err)
	}
	return nil
}

// Append is Put into a bucket whose keys only ever grow: its pages are filled
// whole rather than split in halves.
func (t *Tx) Append(bucket string, key, value []byte) error {
	if t.record != nil {
		t.record.add(changeAppend, bucket, key, value)
		return nil
	}
	t.keep(bucket, key)
	b, err := t.tx.CreateBucketIfNotExists([]byte(bucket))
	if err != nil {
		return fmt.Errorf("bucket %s: %w", bucket, err)
	}
	b.FillPercent = 1
	if err := b.Put(key, value); err != nil {
		return fmt.Errorf("bucket %s: %w", bucket, err)
	}
	return nil
}

// Delete removes a key; it is no error if there is none.
func (t *Tx) Delete(bucket string, key []byte) error {
	if t.record != nil {
		t.record.add(changeDelete, bucket, key, nil)
		return nil
	}
	t.note(bucket, key)
	t.keep(bucket, key)
	b := t.tx.Bucket([]byte(bucket))
	if b == nil {
		return nil
	}
	if err := b.Delete(key); err != nil {
		return fmt.Errorf("bucket %s: %w", bucket, err)
	}
	return nil
}

// Drop removes a bucket and all in it.
func (t *Tx) Drop(bucket string) error {
	if t.tx.Bucket([]byte(bucket)) == nil {
		return nil
	}
	t.Ascend(bucket, nil, func(key, _ []byte) bool { t.keep(bucket, key); return true })
	if err := t.tx.DeleteBucket([]byte(bucket)); err != nil {
		return fmt.Errorf("bucket %s: %w", bucket, err)
	}
	return nil
}
