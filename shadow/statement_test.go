package shadow_test

import (
	"testing"

	"paygate/shadow"
)

func TestPower(t *testing.T) {
	t.Parallel()
	if n, err := shadow.Power(5, 10, .8); n != 32 || err != nil { // (1.96 + 0.84)² × 4, rounded up
		t.Error(n, err)
	}
	if _, err := shadow.Power(0, 1, .8); err == nil {
		t.Error("an effect of nothing was accepted")
	}
}

func TestAStatementGoesCallByCall(t *testing.T) {
	t.Parallel()
	lines := must[[]shadow.Line](t)(fives(t).lab.Statement(ctx, "five", "key_3"))
	if len(lines) != 8 || lines[3].Candidate != 5 || lines[4].Candidate != 0 || lines[4].No[0] != "insufficient_credits" || lines[4].Live != 2 {
		t.Errorf("%+v", lines)
	}
}
