package tally

import (
	"time"

	"paygate/pricing"
)

// Key is one key.
type Key struct {
	Key, Tenant      string
	Plan             string // it was on last
	Paid             [2]pricing.Credits
	Admitted, Denied int // by the candidate
	Newly            int
	Imputed          pricing.Credits
	First            time.Time    // call
	FirstDenied      *time.Time   // by the candidate
	FirstDeniedLive  *time.Time   // by the live prices
	Hours            []HourCount  // denied by the candidate, by hour
	Days             []DaySpend   // paid, by day
	Stopped          *time.Time   // first denied by the candidate alone
	StopSeq          uint64       // of Stopped: the number of its decision
	Reason           string       // of Stopped
	Run              string       // of Stopped
	Tools            []ToolChange // by tool
	Current          *Run         // the inferred run that is going on

	sheet  *Sheet // of its newest call
	place  int    // in the tally's list
	number int32  // the caller's; -1: not known yet
	frozen uint32 // the time for which it was copied
}

// ToolChange is how a tool changes a key's bill.
type ToolChange struct {
	Tool    string
	Credits pricing.Credits
}

// HourCount is how many calls were denied in an hour.
type HourCount struct {
	Hour   int64 // since 1970
	Denied int
}

// DaySpend is what was paid on a day.
type DaySpend struct {
	Day  int64 // since 1970, UTC
	Paid [2]pricing.Credits
}

// denied counts a denial in its hour.
func (k *Key) denied(at time.Time) {
	hour := at.Unix() / 3600
	for i := len(k.Hours) - 1; i >= 0; i-- { // nearly always the last
		if k.Hours[i].Hour == hour {
			k.Hours[i].Denied++
			return
		}
	}
	k.Hours = append(k.Hours, HourCount{hour, 1})
}

// spend counts what was paid on its day.
func (k *Key) spend(at time.Time, got [2]pricing.Credits) {
	if got == [2]pricing.Credits{} {
		return
	}
	day := at.Unix() / (24 * 3600)
	i := len(k.Days) - 1
	for i >= 0 && k.Days[i].Day != day { // nearly always the last
		i--
	}
	if i < 0 {
		i = len(k.Days)
		k.Days = append(k.Days, DaySpend{Day: day})
	}
	k.Days[i].Paid[0] += got[0]
	k.Days[i].Paid[1] += got[1]
}

// change counts how a tool changes the key's bill; a key uses few.
func (k *Key) change(tool string, n pricing.Credits) {
	if n == 0 {
		return
	}
	for i := range k.Tools {
		if k.Tools[i].Tool == tool {
			k.Tools[i].Credits += n
			return
		}
	}
	k.Tools = append(k.Tools, ToolChange{tool, n})
}
