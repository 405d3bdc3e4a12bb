package lane_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"paygate/server/lane"
)

// echo says what it was asked, so that two servers can be compared.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.Header().Set("X-Odd", "a\r\nInjected: b")
	fmt.Fprintf(w, "%s %s %s %q %q %d %v", r.Method, r.RequestURI, r.Host, body, r.Header["X-Key"], r.ContentLength, r.TransferEncoding)
}

// serve starts a lane, or net/http alone, and gives its address.
func serve(t *testing.T, alone bool, h http.HandlerFunc) (addr string, l *lane.Lane) {
	t.Helper()
	return patient(t, alone, time.Minute, h)
}

// patient is serve with the time that a connection may be idle.
func patient(t *testing.T, alone bool, idle time.Duration, h http.HandlerFunc) (addr string, l *lane.Lane) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	rest := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	if alone {
		go func() { _ = rest.Serve(listener) }()
		t.Cleanup(func() { _ = rest.Close() })
		return listener.Addr().String(), nil
	}
	l = &lane.Lane{Path: "/mcp", Handler: h, Base: context.Background(), Rest: rest, Idle: idle, First: min(idle, 5*time.Second), Log: slog.New(slog.DiscardHandler)}
	done := make(chan error, 1)
	go func() { done <- l.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = l.Shutdown(ctx)
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("after a shutdown it says %v", err)
		}
	})
	return listener.Addr().String(), l
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

// said sends bytes and gives everything that comes back, without dates.
func said(t *testing.T, addr, raw string) string {
	t.Helper()
	conn := dial(t, addr)
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	var out strings.Builder
	in := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return out.String()
		}
		body, err := io.ReadAll(res.Body)
		fmt.Fprintf(&out, "%d %q %q %q %v\n", res.StatusCode, res.Header["X-Odd"], res.Header["Injected"], body, err)
	}
}

const plain = "POST /mcp HTTP/1.1\r\nHost: localhost:1\r\nX-Key: k\r\nContent-Length: 2\r\n\r\nhi"

func post(fields, body string) string {
	return "POST /mcp HTTP/1.1\r\nHost: localhost:1\r\n" + fields + "\r\n" + body
}

// What arrives is answered as net/http alone answers it: nothing can be
// smuggled into one that the other does not see.
func TestAnswersAsNetHTTP(t *testing.T) {
	t.Parallel()
	ours, _ := serve(t, false, echo)
	theirs, _ := serve(t, true, echo)
	for name, raw := range map[string]string{
		"plain":                   plain,
		"three at once":           plain + plain + plain,
		"other path between":      plain + strings.Replace(plain, "/mcp", "/other", 1) + plain,
		"a get after":             plain + "GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
		"length and chunked":      post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+plain),
		"chunked":                 post("Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\n\r\n"+plain),
		"two lengths":             post("Content-Length: 2\r\nContent-Length: 3\r\n", "hi"+plain),
		"the same length twice":   post("Content-Length: 2\r\nContent-Length: 2\r\n", "hi"+plain),
		"length with a sign":      post("Content-Length: +2\r\n", "hi"+plain),
		"length with a list":      post("Content-Length: 2, 2\r\n", "hi"),
		"length with a zero":      post("Content-Length: 02\r\n", "hi"+plain),
		"no length":               post("", plain),
		"length zero":             post("Content-Length: 0\r\n", plain),
		"blank before colon":      post("Content-Length : 2\r\n", "hi"+plain),
		"folded":                  post("X-Key: a\r\n b\r\nContent-Length: 2\r\n", "hi"+plain),
		"bare line feeds":         strings.ReplaceAll(plain, "\r\n", "\n"),
		"bare line feed in value": post("X-Key: a\nContent-Length: 9\r\nContent-Length: 2\r\n", "hi"),
		"bare return in value":    post("X-Key: a\rb\r\nContent-Length: 2\r\n", "hi"),
		"zero byte":               post("X-Key: a\x00b\r\nContent-Length: 2\r\n", "hi"),
		"two hosts":               post("Host: b\r\nContent-Length: 2\r\n", "hi"),
		"no host":                 "POST /mcp HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi",
		"expects":                 post("Expect: 100-continue\r\nContent-Length: 2\r\n", "hi"),
		"upgrades":                post("Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n", "hi"),
		"closes":                  post("Connection: close\r\nContent-Length: 2\r\n", "hi"+plain),
		"old version":             strings.Replace(plain, "1.1", "1.0", 1),
		"whole address":           strings.Replace(plain, "/mcp", "http://x/mcp", 1),
		"query":                   strings.Replace(plain, "/mcp", "/mcp?a=b", 1),
		"cut in the body":         plain[:len(plain)-1],
		"cut in the head":         plain[:30],
		"long body":               post("Content-Length: 40000\r\n", strings.Repeat("x", 40000)+plain),
		"body of many pieces":     post("Content-Length: 32000\r\n", strings.Repeat("x", 32000)+plain),
		"long field":              post("X-Long: "+strings.Repeat("x", 9000)+"\r\nContent-Length: 2\r\n", "hi"+plain),
		"tabs":                    post("X-Key:\ta\t\r\nContent-Length: 2\r\n", "hi"),
		"same field twice":        post("X-Key: a\r\nx-key: b\r\nContent-Length: 2\r\n", "hi"),
		"priority of http/2":      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"nonsense":                "\x16\x03\x01\x02\x00\x01",
	} {
		if got, want := said(t, ours, raw), said(t, theirs, raw); got != want {
			t.Errorf("%s: answered\n%sand net/http\n%s", name, got, want)
		}
	}
}

// A client that sends two requests and no more gets both answers, also when the
// first takes so long that somebody looks whether the client is there.
func TestWhatHasArrivedIsAnsweredAfterTheClientsLastByte(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t, false, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(300 * time.Millisecond):
		}
		echo(w, r)
	})
	if got := said(t, addr, plain+plain); strings.Count(got, "200 ") != 2 {
		t.Errorf("answered\n%s", got)
	}
}

// A sender that takes its time is served all the same.
func TestSlowSender(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t, false, echo)
	conn := dial(t, addr)
	for _, part := range []string{plain + plain[:40], plain[40 : len(plain)-1], plain[len(plain)-1:]} {
		if _, err := io.WriteString(conn, part); err != nil {
			t.Fatal(err)
		}
		<-time.After(70 * time.Millisecond)
	}
	in := bufio.NewReader(conn)
	for range 2 {
		if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%v %v", res, err)
		} else if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
	}
}

// A connection on which nothing comes is closed, before its first request and
// after one that took longer than it may be idle.
func TestIdle(t *testing.T) {
	t.Parallel()
	const idle = 100 * time.Millisecond
	addr, _ := patient(t, false, idle, func(http.ResponseWriter, *http.Request) { <-time.After(2 * idle) })
	silent, once := dial(t, addr), dial(t, addr)
	_, _ = io.WriteString(once, plain)
	for name, conn := range map[string]net.Conn{"silent": silent, "once": once} {
		all, err := io.ReadAll(conn)
		if answered := bytes.HasPrefix(all, []byte("HTTP/1.1 200 OK")); err != nil || answered != (name == "once") {
			t.Errorf("%s: %q %v", name, all, err)
		}
	}
}

// A client that goes away ends the context of its request, a pipelined request
// does not, and is answered after it.
func TestClientGone(t *testing.T) {
	t.Parallel()
	began, gone := make(chan struct{}, 2), make(chan struct{}, 2)
	addr, _ := serve(t, false, func(w http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		select {
		case <-r.Context().Done():
			gone <- struct{}{}
		case <-time.After(200 * time.Millisecond):
			if r.Header.Get("X-Key") == "wait" {
				<-r.Context().Done()
				gone <- struct{}{}
			}
		}
	})
	two := dial(t, addr)
	_, _ = io.WriteString(two, plain)
	<-began
	<-time.After(70 * time.Millisecond)
	_, _ = io.WriteString(two, plain)
	in := bufio.NewReader(two)
	for range 2 {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	<-began
	one := dial(t, addr)
	_, _ = io.WriteString(one, strings.Replace(plain, "X-Key: k", "X-Key: wait", 1))
	<-began
	_ = one.Close()
	select {
	case <-gone:
	case <-time.After(5 * time.Second):
		t.Fatal("the request goes on though its client has gone")
	}
}

// What is flushed arrives at once, and its end is seen.
func TestStreams(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	addr, _ := serve(t, false, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "one")
		_ = http.NewResponseController(w).Flush()
		<-next
		_, _ = w.Write(bytes.Repeat([]byte("x"), 200_000))
	})
	conn := dial(t, addr)
	_, _ = io.WriteString(conn, plain)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	three := make([]byte, 3)
	if _, err := io.ReadFull(res.Body, three); err != nil || string(three) != "one" {
		t.Fatalf("%q %v", three, err)
	}
	close(next)
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) != 200_000 {
		t.Fatalf("%d bytes, %v", len(rest), err)
	}
}

// A shutdown closes who is idle and waits for who is served.
func TestShutdown(t *testing.T) {
	t.Parallel()
	began, end := make(chan struct{}, 1), make(chan struct{})
	addr, l := serve(t, false, func(w http.ResponseWriter, _ *http.Request) {
		began <- struct{}{}
		<-end
		_, _ = io.WriteString(w, "done")
	})
	quiet, under := dial(t, addr), dial(t, addr)
	_, _ = io.WriteString(under, plain)
	<-began
	down := make(chan error, 1)
	go func() { down <- l.Shutdown(context.Background()) }()
	if _, err := quiet.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("an idle connection: %v", err)
	}
	select {
	case <-down:
		t.Fatal("it did not wait for the request")
	case <-time.After(50 * time.Millisecond):
	}
	close(end)
	all, err := io.ReadAll(under)
	if err != nil || !bytes.HasSuffix(all, []byte("done")) || !bytes.Contains(all, []byte("Connection: close")) {
		t.Fatalf("%q %v", all, err)
	}
	if err := <-down; err != nil {
		t.Fatal(err)
	}
}

// What is fixed is in every answer alike, with net/http and without, unless the
// handler sets it itself; nothing of one answer is in the next.
func TestFixed(t *testing.T) {
	t.Parallel()
	fixed := &lane.Fixed{}
	fixed.Add("X-Version", "1")
	fixed.Add("Cache-Control", "no-store")
	fixed.Add("X-Odd", "a\r\nInjected: b")
	h := func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("X-Key")
		if key == "none" {
			return
		}
		fixed.Set(w)
		if key == "own" {
			w.Header().Set("Cache-Control", "no-cache")
		}
		w.WriteHeader(http.StatusAccepted)
	}
	heads := func(alone bool) []http.Header {
		addr, _ := serve(t, alone, h)
		conn := dial(t, addr)
		in := bufio.NewReader(conn)
		var all []http.Header
		for _, key := range []string{"k", "own", "k", "none"} {
			if _, err := io.WriteString(conn, strings.Replace(plain, "X-Key: k", "X-Key: "+key, 1)); err != nil {
				t.Fatal(err)
			}
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if _, err := http.ParseTime(res.Header.Get("Date")); err != nil {
				t.Errorf("the date: %v", err)
			}
			res.Header.Del("Date")
			all = append(all, res.Header)
		}
		return all
	}
	ours, theirs := heads(false), heads(true)
	for i := range theirs {
		if fmt.Sprint(ours[i]) != fmt.Sprint(theirs[i]) {
			t.Errorf("answer %d: the lane %v, net/http %v", i, ours[i], theirs[i])
		}
	}
	if got := ours[1]["Cache-Control"]; len(got) != 1 || got[0] != "no-cache" {
		t.Errorf("the handler's own: %v", got)
	}
}
