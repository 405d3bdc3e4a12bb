package upstream_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"paygate/server/mcp"
	"paygate/server/upstream"
	"paygate/testdata/fake"
)

// doomed makes the test binary a gateway that is killed.
const doomed = "PAYTEST_DOOMED_GATEWAY"

// beDoomed starts a server that forks, says which processes there are, and
// waits for its end.
func beDoomed() {
	if err := os.Unsetenv(doomed); err != nil {
		panic(err)
	}
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	s, err := upstream.New([]upstream.Spec{{Command: self, Env: fake.Env("legacy")}}, upstream.Options{Now: time.Now, Environ: os.Environ()})
	if err != nil {
		panic(err)
	}
	c, err := s.Open(context.Background(), mcp.Dial{Caller: "a"})
	if err != nil {
		panic(err)
	}
	res, err := c.Call(context.Background(), request("1", "fork", fake.Args{}), nil)
	if err != nil {
		panic(err)
	}
	var out struct{ Content []struct{ Text string } }
	var said fake.Said
	if err := json.Unmarshal(res.Result, &out); err != nil {
		panic(err)
	}
	if err := json.Unmarshal([]byte(out.Content[0].Text), &said); err != nil {
		panic(err)
	}
	raw, err := json.Marshal(append(s.Status()[0].Pids, said.Child))
	if err != nil {
		panic(err)
	}
	fmt.Println(string(raw))
	select {}
}

// Not even kill -9 of the gateway leaves anything behind, grandchildren
// included.
func TestNothingOutlivesAKilledGateway(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), doomed+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var pids []int
	if err != nil || json.Unmarshal(line, &pids) != nil || len(pids) < 3 {
		t.Fatalf("said %q: %v", line, err)
	}
	for _, pid := range pids {
		if !alive(pid) {
			t.Errorf("process %d is not there", pid)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it says that it was killed
	until(t, "the end of all", func() bool {
		for _, pid := range pids {
			if alive(pid) {
				return false
			}
		}
		return true
	})
}
