package store

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	bolt "go.etcd.io/bbolt"
)

// ErrExists says that a restore would overwrite a state.
var ErrExists = errors.New("there is a state already")

// errBackup is wrapped when what is restored is not a whole backup.
var errBackup = errors.New("not a whole backup")

// A backup is gzip over: this line, then for every key its bucket, key and
// value, each with its length, then an empty bucket name and the SHA-256 of
// all before.
const backupMagic = "paygate-backup 1\n"

const (
	backupPage = 256 << 10 // bytes copied in one View
	maxField   = 1 << 30   // bytes of a key or value that a restore believes
)

// keeper makes a backup consistent though it is read in many short Views:
// while it runs, whoever changes a key that is not copied yet first leaves its
// old value here.
type keeper struct {
	mu     sync.Mutex
	bucket string // being copied; those before it in order are done
	pos    []byte // copied up to and with this key
	left   map[string]bool
	saved  map[string]map[string][]byte // bucket, key → value when the backup began; nil: there was none
}

// keep is called before a change.
func (k *keeper) keep(bucket string, key []byte, old []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.left[bucket] || bucket == k.bucket && bytes.Compare(key, k.pos) <= 0 {
		return
	}
	if k.saved[bucket] == nil {
		k.saved[bucket] = map[string][]byte{}
	}
	if _, ok := k.saved[bucket][string(key)]; !ok {
		k.saved[bucket][string(key)] = bytes.Clone(old)
	}
}

// keep tells a running backup of a change.
func (t *Tx) keep(bucket string, key []byte) {
	if k := t.db.keeper.Load(); k != nil {
		k.keep(bucket, key, t.Get(bucket, key))
	}
}

type pair struct{ key, value []byte }

// merge puts the page as it was when the backup began, and moves on. last says
// that the bucket has no more keys.
func (k *keeper) merge(page []pair, last bool) []pair {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.saved[k.bucket]
	inPage := make(map[string]bool, len(page))
	out := page[:0:0]
	for _, p := range page {
		inPage[string(p.key)] = true
		if value, changed := old[string(p.key)]; !changed {
			out = append(out, p)
		} else if value != nil {
			out = append(out, pair{p.key, value})
		}
	}
	for key, value := range old { // deleted since
		below := last || len(page) > 0 && key <= string(page[len(page)-1].key)
		if value != nil && !inPage[key] && below && key > string(k.pos) {
			out = append(out, pair{[]byte(key), value})
		}
	}
	slices.SortFunc(out, func(a, b pair) int { return bytes.Compare(a.key, b.key) })
	if last {
		delete(k.left, k.bucket)
		delete(k.saved, k.bucket)
	} else {
		k.pos = page[len(page)-1].key
	}
	return out
}

// Backup writes the whole state as it is at one moment. It reads in Views of a
// few milliseconds, so calls go on; one backup runs at a time.
func (d *DB) Backup(ctx context.Context, w io.Writer) error {
	if !d.backups.TryLock() {
		return fmt.Errorf("%s: %w", d.path, errors.New("another backup is running"))
	}
	defer d.backups.Unlock()
	k := &keeper{left: map[string]bool{}, saved: map[string]map[string][]byte{}}
	buckets, err := d.startKeeping(k)
	if err != nil {
		return err
	}
	defer d.keeper.Store(nil)
	zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	out := &backupWriter{w: bufio.NewWriterSize(zip, 64<<10), sum: sha256.New()}
	out.raw([]byte(backupMagic))
	for _, bucket := range buckets {
		if err := d.backupBucket(ctx, k, bucket, out); err != nil {
			return fmt.Errorf("backup of %s: %w", bucket, err)
		}
	}
	out.field(nil)
	out.raw(out.sum.Sum(nil))
	return errors.Join(out.err, out.w.Flush(), zip.Close())
}

// startKeeping begins between two commits, so that the backup is of one moment.
func (d *DB) startKeeping(k *keeper) ([]string, error) {
	if err := d.checkpoint(); err != nil {
		return nil, err
	}
	tx, err := d.handle().Begin(true)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.path, closed(err))
	}
	buckets := (&Snapshot{tx: tx}).Buckets()
	for _, b := range buckets {
		k.left[b] = true
	}
	d.keeper.Store(k)
	return buckets, tx.Rollback()
}

func (d *DB) backupBucket(ctx context.Context, k *keeper, bucket string, out *backupWriter) error {
	k.mu.Lock()
	k.bucket, k.pos = bucket, nil
	k.mu.Unlock()
	for from, last := []byte(nil), false; !last; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var page []pair
		size := 0
		last = true
		err := d.View(func(s *Snapshot) error {
			s.Ascend(bucket, from, func(key, value []byte) bool {
				if size >= backupPage {
					last = false
					return false
				}
				page = append(page, pair{bytes.Clone(key), bytes.Clone(value)})
				size += len(key) + len(value)
				return true
			})
			return nil
		})
		if err != nil {
			return err
		}
		if len(page) > 0 {
			from = append(bytes.Clone(page[len(page)-1].key), 0)
		}
		for _, p := range k.merge(page, last) {
			out.field([]byte(bucket))
			out.field(p.key)
			out.field(p.value)
		}
		if out.err != nil {
			return out.err
		}
	}
	return nil
}

// backupWriter writes fields and sums them; its first error sticks.
type backupWriter struct {
	w   *bufio.Writer
	sum hash.Hash
	err error
}

func (b *backupWriter) raw(p []byte) {
	if b.err == nil {
		_, b.err = b.w.Write(p)
		b.sum.Write(p)
	}
}

func (b *backupWriter) field(p []byte) {
	b.raw(binary.AppendUvarint(nil, uint64(len(p))))
	b.raw(p)
}

// BackupFile is Backup into a file, which appears whole or not at all.
func (d *DB) BackupFile(ctx context.Context, to string) error {
	part := to + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := errors.Join(d.Backup(ctx, f), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return replace(part, to)
}

// Restore makes the state of a backup in a state folder that has none. The
// state appears whole or not at all.
func Restore(ctx context.Context, dir string, r io.Reader) error {
	path := filepath.Join(dir, FileName)
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("%s: %w", path, ErrExists)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("state folder %s: %w", dir, err)
	}
	part := path + ".part"
	if err := errors.Join(removed(part), removed(walPath(path))); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	db, err := open(part, &bolt.Options{FreelistType: bolt.FreelistMapType, NoSync: true})
	if err != nil {
		return err
	}
	d := &DB{bolt: db, path: part}
	err = d.restore(ctx, r)
	if err == nil {
		err = d.migrate() // refuses a backup of a newer program
	}
	if err == nil {
		err = db.Sync()
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return errors.Join(fmt.Errorf("restore: %w", err), os.Remove(part))
	}
	return replace(part, path)
}

func (d *DB) restore(ctx context.Context, r io.Reader) error {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("%w: %w", errBackup, err)
	}
	in := &backupReader{r: bufio.NewReader(zip), sum: sha256.New()}
	if in.expect(backupMagic); in.err != nil {
		return in.err
	}
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := d.Update(func(tx *Tx) (err error) {
			more, err = in.restore(tx)
			return err
		})
		if err != nil {
			return err
		}
	}
	in.expect(string(in.sum.Sum(nil)))
	if _, err := in.r.ReadByte(); in.err == nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something is wrong with its end", errBackup)
	}
	return in.err
}

// backupReader is the inverse of backupWriter.
type backupReader struct {
	r   *bufio.Reader
	sum hash.Hash
	err error
}

func (b *backupReader) raw(n uint64) []byte {
	if b.err != nil {
		return nil
	}
	var p bytes.Buffer // grows with what is there, not with what a damaged length claims
	if _, err := io.CopyN(&p, b.r, int64(n)); err != nil {
		b.err = fmt.Errorf("%w: %w", errBackup, err)
		return nil
	}
	b.sum.Write(p.Bytes())
	return p.Bytes()
}

func (b *backupReader) field() []byte {
	if b.err != nil {
		return nil
	}
	n, err := binary.ReadUvarint(b.r)
	if err == nil && n > maxField {
		err = errors.New("a field is too long")
	}
	if err != nil {
		b.err = fmt.Errorf("%w: %w", errBackup, err)
		return nil
	}
	b.sum.Write(binary.AppendUvarint(nil, n))
	return b.raw(n)
}

// restore writes some of what comes, and says whether there is more.
func (b *backupReader) restore(tx *Tx) (more bool, err error) {
	const most = 4096
	for range most {
		bucket := b.field()
		if b.err != nil || len(bucket) == 0 {
			return false, b.err
		}
		key, value := b.field(), b.field()
		if b.err != nil {
			return false, b.err
		}
		if err := tx.Append(string(bucket), key, value); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (b *backupReader) expect(want string) {
	if got := b.raw(uint64(len(want))); b.err == nil && string(got) != want {
		b.err = fmt.Errorf("%w: its beginning or its sum is wrong", errBackup)
	}
}
