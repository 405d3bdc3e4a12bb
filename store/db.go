// Package store keeps durable state in one bbolt file. It owns the file, its
// lock, its version, transactions and tables of records. What the records mean
// is their owners' business: blocks of events and balances are package
// ledger's, keys are package keys'.
//
// There is one writer: package ledger, which groups what waits into one
// transaction. Everybody else reads, briefly.
package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// What can be wrong with the file, for callers that decide on it.
var (
	ErrLocked  = errors.New("the state is in use by another paygate")
	ErrTooNew  = errors.New("the state was written by a newer paygate")
	ErrCorrupt = errors.New("the state is damaged")
	ErrClosed  = errors.New("the state is closed")
)

// format is the version of the file that this program writes; a file with a
// higher one is refused, a lower one is migrated.
const format = 1

// FileName is the name of the database in a state folder.
const FileName = "paygate.db"

// Options are what Open needs beside the path.
type Options struct {
	// File is the file's name when it is not FileName.
	File string
	// LockTimeout is how long to wait for another process to let go of the
	// file; 0 means 200 ms.
	LockTimeout time.Duration
	// Now measures how long Views are open, for LongestView; nil does not.
	Now func() time.Time
	// Fault is asked before every commit and its error fails it: a full disk
	// in tests. Nil never fails.
	Fault func() error
	// Doubt is asked after every commit and its error is that of a commit that
	// is on disk all the same, as a failing sync may leave one. For tests.
	Doubt func() error
}

// DB is the open file. It is safe for concurrent use.
type DB struct {
	mu    sync.RWMutex // guards bolt, which Reopen replaces
	bolt  *bolt.DB
	opts  *bolt.Options
	path  string
	now   func() time.Time
	fault func() error
	doubt func() error

	writing     sync.Mutex // held from a write transaction's beginning until what it brought in is known
	wal         wal
	checkpoints sync.WaitGroup // in the background
	behind      atomic.Bool    // one of them runs

	backups sync.Mutex             // held by the one backup that runs
	keeper  atomic.Pointer[keeper] // of that backup; nil when none runs
	longest atomic.Int64           // View so far
}

// Open opens or makes the database in a state folder, which it makes too
// (0700). The error wraps ErrLocked, ErrTooNew or ErrCorrupt where that is the
// matter.
func Open(dir string, o Options) (*DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state folder %s: %w", dir, err)
	}
	path := filepath.Join(dir, cmp.Or(o.File, FileName))
	if o.LockTimeout == 0 {
		o.LockTimeout = 200 * time.Millisecond
	}
	options := &bolt.Options{Timeout: o.LockTimeout, FreelistType: bolt.FreelistMapType, InitialMmapSize: initialMap()}
	_, missing := os.Stat(path)
	db, err := open(path, options)
	if err != nil {
		return nil, err
	}
	if errors.Is(missing, os.ErrNotExist) {
		if err := removed(walPath(path)); err != nil {
			return nil, errors.Join(fmt.Errorf("state folder %s: %w", dir, err), db.Close())
		}
	}
	d := &DB{bolt: db, opts: options, path: path, now: o.Now, fault: o.Fault, doubt: o.Doubt, wal: wal{path: walPath(path)}}
	for _, step := range []func() error{d.known, func() error { return d.recover(db) }, d.migrate} {
		if err := step(); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return d, nil
}

// open turns what bbolt says, and its panics on a damaged file, into our
// errors. Reading beyond the end of a file that was cut off is a fault, which
// would end the process.
func open(path string, o *bolt.Options) (db *bolt.DB, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("%s: %w: %v", path, ErrCorrupt, p)
		}
	}()
	db, err = bolt.Open(path, 0o600, o)
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s: %w", path, ErrLocked)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%s: %w: %w", path, ErrCorrupt, err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return db, nil
}

// initialMap reserves address space, so that the file can grow while a reader
// is open: growing the map waits for readers. Windows would make the file that
// large at once.
func initialMap() int {
	if runtime.GOOS == "windows" {
		return 0
	}
	return 16 << 30
}

// known refuses the file of a newer program before anything is written to it.
func (d *DB) known() error {
	tx, err := d.reader()
	if err != nil {
		return err
	}
	have, _ := binary.Uvarint((&Snapshot{tx: tx}).Get("meta", []byte("format")))
	if err := tx.Rollback(); err != nil {
		return err
	}
	if have > format {
		return fmt.Errorf("%s: %w: its format is %d, this program knows %d; use the newer program", d.path, ErrTooNew, have, format)
	}
	return nil
}

// migrate brings the file to this program's format.
func (d *DB) migrate() error {
	return d.Update(func(tx *Tx) error { return tx.Put("meta", []byte("format"), binary.AppendUvarint(nil, format)) })
}

// Path is the file's path.
func (d *DB) Path() string { return d.path }

// handle is the open file. Transactions that have begun on an older one end in
// it.
func (d *DB) handle() *bolt.DB {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.bolt
}

// Reopen closes the file and opens it again, after a commit that failed: what
// is on disk is the truth then.
func (d *DB) Reopen() error {
	d.checkpoints.Wait()
	d.writing.Lock()
	defer d.writing.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.bolt.Close(); err != nil {
		return fmt.Errorf("%s: %w", d.path, err)
	}
	db, err := open(d.path, d.opts)
	if err != nil {
		return err
	}
	d.bolt = db
	return d.recover(db)
}

// recover brings what the write-ahead log has into the database that was just
// opened. Until it can, nothing can be committed.
func (d *DB) recover(db *bolt.DB) error {
	var has mark
	err := db.View(func(tx *bolt.Tx) error {
		has = readMark((&Snapshot{tx: tx}).Get("meta", []byte(walMark)))
		return nil
	})
	if err != nil {
		return d.wal.fail(fmt.Errorf("%s: %w", d.path, err))
	}
	left, err := d.wal.recover(has)
	if err != nil {
		return d.wal.fail(err)
	}
	if len(left.records) > 0 {
		err = db.Update(func(tx *bolt.Tx) error {
			if err := left.into(&Tx{Snapshot: Snapshot{tx: tx}, db: d}); err != nil || d.fault == nil {
				return err
			}
			return d.fault()
		})
		if err != nil {
			return d.wal.fail(fmt.Errorf("%s: what is in the write-ahead log: %w", d.path, err))
		}
	}
	return d.wal.restart(left.upTo)
}

// Close waits for open transactions and closes the file.
func (d *DB) Close() error {
	d.checkpoints.Wait()
	_ = d.checkpoint() // what it cannot bring in stays in the log
	err := d.wal.close()
	if closing := d.handle().Close(); closing != nil {
		err = errors.Join(err, fmt.Errorf("%s: %w", d.path, closing))
	}
	return err
}

// Size is the size of the file and how much of it is free, in bytes.
func (d *DB) Size() (total, free int64, err error) {
	err = d.handle().View(func(tx *bolt.Tx) error {
		total = tx.Size()
		return nil
	})
	return total, int64(d.handle().Stats().FreePageN) * int64(os.Getpagesize()), err
}

// Update runs fn in the one write transaction and commits it to disk when fn
// returns nil; otherwise nothing of it stays. After an error of the commit
// itself the caller cannot know what is on disk and must reopen the file.
func (d *DB) Update(fn func(*Tx) error) error {
	d.writing.Lock()
	defer d.writing.Unlock()
	if err := d.wal.broken(); err != nil {
		return err
	}
	tx, err := d.handle().Begin(true)
	if err != nil {
		return fmt.Errorf("%s: %w", d.path, closed(err))
	}
	t, logged := &Tx{Snapshot: Snapshot{tx: tx}, db: d}, d.wal.take()
	if err := logged.into(t); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := fn(t); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if d.fault != nil {
		if err := d.fault(); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", d.path, err), tx.Rollback())
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%s: %w", d.path, err)
	}
	d.wal.committed(logged)
	if d.doubt != nil {
		return d.doubt()
	}
	return nil
}

// Log is Update for what commits often: it waits for the disk once, for the
// write-ahead log, and the database has it later. fn may Get, Put, Append and
// Delete; it sees all that was committed before. Only one goroutine at a time
// may Log, and an Update beside it must not write the same keys.
func (d *DB) Log(fn func(*Tx) error) error {
	r := newRecord()
	if err := fn(&Tx{Snapshot: Snapshot{logs: d, record: r}, db: d}); err != nil {
		return err
	}
	if len(r.raw) > segmentSize/2 {
		return d.Update(share{records: [][]byte{r.payload()}}.changes)
	}
	if d.fault != nil {
		if err := d.fault(); err != nil {
			return d.wal.fail(fmt.Errorf("%s: %w", d.path, err))
		}
	}
	full, due, err := d.wal.append(r)
	if full {
		if err = d.checkpoint(); err == nil {
			_, due, err = d.wal.append(r)
		}
	}
	if err != nil {
		return err
	}
	if due && d.behind.CompareAndSwap(false, true) {
		d.checkpoints.Go(func() {
			defer d.behind.Store(false)
			_ = d.checkpoint() // the next commit tells its error
		})
	}
	if d.doubt != nil {
		return d.doubt()
	}
	return nil
}

// checkpoint brings what is in the write-ahead log into the database. If it
// cannot, the next commit fails.
func (d *DB) checkpoint() error {
	if !d.wal.ready() {
		return nil
	}
	if err := d.Update(func(*Tx) error { return nil }); err != nil {
		return d.wal.fail(err)
	}
	return nil
}

// View runs fn on a state that does not change meanwhile. Keep it under 10 ms:
// an open reader pins pages and, when the map must grow, stops the writer.
// What fn gets is valid only until it returns.
func (d *DB) View(fn func(*Snapshot) error) error {
	// If the disk takes nothing now, the next commit says so; until then what is
	// in the database can be read.
	_ = d.checkpoint()
	tx, err := d.reader()
	if err != nil {
		return err
	}
	if d.now != nil {
		began := d.now()
		defer func() { d.measure(d.now().Sub(began)) }()
	}
	return errors.Join(fn(&Snapshot{tx: tx}), tx.Rollback())
}

func (d *DB) reader() (*bolt.Tx, error) {
	h := d.handle()
	tx, err := h.Begin(false)
	if now := d.handle(); err != nil && now != h { // reopened in between
		tx, err = now.Begin(false)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.path, closed(err))
	}
	return tx, nil
}

// logged is what a key has for a Log: by its own record, by one that is not in
// the database yet, or in the database. What a checkpoint has taken meanwhile
// is there, since it is looked at last.
func (d *DB) logged(r *record, bucket string, key []byte) []byte {
	if value, ok := r.get(bucket, key); ok {
		return value
	}
	if value, ok := d.wal.value(bucket, key); ok {
		return value
	}
	tx, err := d.reader()
	if err != nil {
		return nil // the commit fails for the same reason
	}
	value := bytes.Clone((&Snapshot{tx: tx}).Get(bucket, key))
	if tx.Rollback() != nil {
		return nil
	}
	return value
}

func (d *DB) measure(took time.Duration) {
	for {
		longest := d.longest.Load()
		if int64(took) <= longest || d.longest.CompareAndSwap(longest, int64(took)) {
			return
		}
	}
}

// LongestView is how long the longest View was open since the last time this
// was asked.
func (d *DB) LongestView() time.Duration { return time.Duration(d.longest.Swap(0)) }

func closed(err error) error {
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}
