package pricing

import (
	"bytes"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Decimal is an exact number of millionths: prices below one credit, shares and
// multipliers. There are no floating point numbers in money.
type Decimal int64

// One is the Decimal 1.
const One Decimal = 1_000_000

// ParseDecimal reads a number such as "2", "0.25" or "10%" exactly: up to six
// digits after the point, nothing below zero, at most MaxCredits.
func ParseDecimal(text string) (Decimal, error) {
	digits, percent := strings.CutSuffix(text, "%")
	whole, part, _ := strings.Cut(digits, ".")
	places := 6
	if percent {
		places = 4
	}
	if whole == "" || strings.HasSuffix(digits, ".") || len(part) > places || len(whole) > 10 || strings.Trim(whole+part, "0123456789") != "" {
		return 0, fmt.Errorf("%q is not a decimal number of at most %d places", text, places)
	}
	n, err := strconv.ParseInt(whole+part+strings.Repeat("0", places-len(part)), 10, 64)
	if err != nil || n > int64(MaxCredits)*int64(One) {
		return 0, fmt.Errorf("%q is more than %d", text, MaxCredits)
	}
	return Decimal(n), nil
}

func (d Decimal) String() string {
	if d%One == 0 {
		return strconv.FormatInt(int64(d/One), 10)
	}
	return strings.TrimRight(fmt.Sprintf("%d.%06d", d/One, d%One), "0")
}

// MarshalText is the number as text, which ParseDecimal reads back.
func (d Decimal) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (d *Decimal) UnmarshalText(text []byte) error {
	n, err := ParseDecimal(string(text))
	*d = n
	return err
}

// UnmarshalJSON also takes the number as a number.
func (d *Decimal) UnmarshalJSON(raw []byte) error {
	return d.UnmarshalText(bytes.Trim(raw, `"`))
}

// whole rounds up to whole credits.
func (d Decimal) whole() Credits { return Credits((d + One - 1) / One) }

// nanos is an exact amount in thousand-millionths of a credit, at most limit.
type nanos int64

const (
	perCredit nanos = 1_000_000_000
	limit     nanos = nanos(MaxCredits) * perCredit
)

// add and times stop at the limit, which no charge can pass.
func (n nanos) add(m nanos) nanos { return min(limit, n+m) }

// times is price × quantity / parts, rounded up to a nano when parts do not
// divide.
func times(price Decimal, quantity, parts int64) nanos {
	if price <= 0 || quantity <= 0 {
		return 0
	}
	high, low := bits.Mul64(uint64(price)*1000, uint64(quantity))
	if high >= uint64(parts) {
		return limit
	}
	n, rest := bits.Div64(high, low, uint64(parts))
	if n >= uint64(limit) {
		return limit
	}
	if rest > 0 {
		n++
	}
	return nanos(n)
}

// part is n × share, which is at most 1.
func (n nanos) part(share Decimal) nanos {
	high, low := bits.Mul64(uint64(n), uint64(share))
	_, low = divideUp(high, low, uint64(One))
	return nanos(low)
}

// credits is n × a × b, rounded up to whole credits.
func (n nanos) credits(a, b Decimal) Credits {
	high, low := bits.Mul64(uint64(n), uint64(a))
	h1, l1 := bits.Mul64(low, uint64(b))
	high = high*uint64(b) + h1
	high, low = divideUp(high, l1, uint64(perCredit))
	high, low = divideUp(high, low, uint64(One*One))
	if high > 0 || low > uint64(MaxCredits) {
		return MaxCredits
	}
	return Credits(low)
}

// divideUp divides 128 bits, rounding up.
func divideUp(high, low, by uint64) (uint64, uint64) {
	top, rest := high/by, high%by
	low, rest = bits.Div64(rest, low, by)
	if rest > 0 {
		if low++; low == 0 {
			top++
		}
	}
	return top, low
}
