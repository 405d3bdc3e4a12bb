package state

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"paygate/store"
)

// Compact gives free space of a state that no gateway uses back to the disk.
func Compact(dir string, out io.Writer) error {
	before, after, err := store.Compact(dir)
	if err != nil {
		return err
	}
	const mega = 1e6
	_, err = fmt.Fprintf(out, "%s: %.1f MB before, %.1f MB now\n", dir, float64(before)/mega, float64(after)/mega)
	return err
}

// leastToCompact is how large a file must be to be written anew at the start.
const leastToCompact = 256 << 20

// CompactIfWorthIt gives the space of what was forgotten back to the disk when
// most of the file is free. It stands before the start, because nobody may use
// the file meanwhile; that it fails, for want of room, is no reason not to
// start.
func CompactIfWorthIt(dir string, log *slog.Logger) {
	before, after, err := store.CompactIfMostlyFree(dir, leastToCompact)
	switch {
	case err != nil && !errors.Is(err, store.ErrLocked): // what else is wrong is said when it is opened
		log.Warn("the state file could not be written anew; most of it stays free", "error", err)
	case after > 0:
		log.Info("most of the state file was free; it was written anew", "bytes before", before, "now", after)
	}
}
