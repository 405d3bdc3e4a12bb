package shadow

import "fmt"

// BadInput is a request that cannot be done as it is asked.
type BadInput struct{ Text string }

func (e *BadInput) Error() string { return e.Text }

func badInput(format string, args ...any) error { return &BadInput{fmt.Sprintf(format, args...)} }
