package keys_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/server/keys"
)

// answer is what a route gave: its value as JSON, or the status of its refusal.
type answer struct {
	status int
	says   string
	fields map[string]any
}

func (a answer) text(name string) string { s, _ := a.fields[name].(string); return s }

// do asks a route as the owner, once where a key for that is given.
func (o *office) do(method, path string, in map[string]any, once string) answer {
	o.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, r := range o.Routes() {
		if r.Method != method || r.Path != path {
			continue
		}
		ctx := api.WithActor(o.t.Context(), api.Actor{ID: "owner", Role: api.Super, Once: once, Endpoint: method + " " + path, Body: body})
		q := map[string][]string{}
		if method == http.MethodGet {
			for name, value := range in {
				q[name] = []string{fmt.Sprint(value)}
			}
			body = nil
		}
		out, err := r.Do(ctx, &api.Request{Query: q, Body: body})
		var e *api.Error
		if errors.As(err, &e) {
			return answer{status: e.Status, says: e.Message}
		}
		if err != nil {
			return answer{status: http.StatusInternalServerError, says: err.Error()}
		}
		a := answer{status: r.Status}
		text, err := json.Marshal(out)
		if err == nil && strings.HasPrefix(string(text), "{") {
			err = json.Unmarshal(text, &a.fields)
		}
		if err != nil {
			o.t.Fatal(err)
		}
		return a
	}
	o.t.Fatalf("there is no %s %s", method, path)
	return answer{}
}

// made makes a key and gives its secret and id.
func (o *office) made(in map[string]any) (secret, id string) {
	o.t.Helper()
	a := o.do("POST", "/keys", in, "")
	if a.status != http.StatusCreated {
		o.t.Fatalf("no key was made: %+v", a)
	}
	return a.text("key"), a.text("id")
}

func (o *office) balance(id string) int64 { return int64(o.book.Key(id).Credits) }

func TestAKeyIsKnownByItsSecretItsAliasAndItsID(t *testing.T) {
	t.Parallel()
	o := open(t, pricing.Plan{})
	secret, id := o.made(map[string]any{"name": "one"})
	other, _ := o.made(map[string]any{"name": "two"})
	if a := o.do("POST", "/keys/alias", map[string]any{"key": secret, "alias": "first"}, ""); a.status != http.StatusOK {
		t.Fatal(a)
	}
	for range 2 {
		for _, name := range []string{secret, id, "first", secret[:10], secret[:10] + "..."} {
			if got, ok := o.Resolve(name); !ok || got != id {
				t.Errorf("%.14s is %s", name, got)
			}
		}
		for _, name := range []string{"", "pg_", "p", secret + "0", secret[:len(secret)-1], "First", "key_"} {
			if got, ok := o.Resolve(name); ok {
				t.Errorf("%.14q is %s", name, got)
			}
		}
		if terms, why := o.Identify(secret); terms == nil || terms.ID != id || why != "" {
			t.Errorf("the secret is not let in: %s", why)
		}
		for _, name := range []string{id, "first", secret[:10]} { // names are for owners: agents need the secret
			if terms, why := o.Identify(name); terms != nil || why != "invalid_api_key" {
				t.Errorf("%.14s is let in as a secret: %s", name, why)
			}
		}
		o.restart()
	}
	if a := o.do("POST", "/keys/alias", map[string]any{"key": other, "alias": "first"}, ""); a.status != http.StatusBadRequest {
		t.Errorf("two keys have one alias: %+v", a)
	}
}

func TestWhoIsLetInAndUntilWhen(t *testing.T) {
	t.Parallel()
	o := open(t, pricing.Plan{})
	why := func(secret string) string {
		terms, reason := o.Identify(secret)
		if terms != nil && terms.Suspended {
			return "suspended"
		}
		return reason
	}
	brief, _ := o.made(map[string]any{"expiresIn": 60})
	o.set(o.now().Add(60*time.Second - time.Millisecond))
	if got := why(brief); got != "" {
		t.Errorf("a moment before its end: %q", got)
	}
	o.set(o.now().Add(time.Millisecond))
	if got := why(brief); got != "api_key_expired" {
		t.Errorf("at its end: %q", got)
	}
	o.do("POST", "/keys/expiry", map[string]any{"key": brief, "expiresAt": nil}, "")
	if got := why(brief); got != "" {
		t.Errorf("with its end taken away: %q", got)
	}
	o.do("POST", "/keys/suspend", map[string]any{"key": brief}, "")
	if got := why(brief); got != "suspended" {
		t.Errorf("suspended: %q", got)
	}
	rotated := o.do("POST", "/keys/rotate", map[string]any{"key": brief, "graceSeconds": 30}, "")
	next := rotated.text("newKey")
	for _, secret := range []string{brief, next} {
		if got := why(secret); got != "suspended" {
			t.Errorf("within the grace: %q", got)
		}
	}
	o.set(o.now().Add(31 * time.Second))
	if why(brief) != "invalid_api_key" || why(next) != "suspended" {
		t.Errorf("after the grace: the old one %q, the new one %q", why(brief), why(next))
	}
	o.do("POST", "/keys/revoke", map[string]any{"key": next}, "")
	if got := why(next); got != "invalid_api_key" {
		t.Errorf("revoked: %q", got)
	}
	if got := o.book.Totals(); got.Spendable != 0 {
		t.Errorf("a revoked key leaves %d credits that can be spent", got.Spendable)
	}
}

func TestFieldsStayWithinTheirBounds(t *testing.T) {
	t.Parallel()
	o := open(t, pricing.Plan{})
	tags := map[string]any{}
	for i := range 60 {
		tags[fmt.Sprint("t", i)] = i
	}
	tools := make([]string, 1100)
	for i := range tools {
		tools[i] = fmt.Sprintf(" tool%d ", i)
	}
	a := o.do("POST", "/keys", map[string]any{"name": strings.Repeat("é", 300), "tags": tags, "allowedTools": append(tools, "", "  "), "namespace": "Acme Corp!", "credits": 5e12}, "")
	if name := a.text("name"); len([]rune(name)) != 200 {
		t.Errorf("a name of %d characters", len([]rune(name)))
	}
	if got := len(a.fields["tags"].(map[string]any)); got != 50 {
		t.Errorf("%d tags", got)
	}
	if got := a.fields["allowedTools"].([]any); len(got) != 1000 || got[0] != "tool0" {
		t.Errorf("%d tools, the first %q", len(got), got[0])
	}
	if a.text("namespace") != "acmecorp" || a.fields["credits"] != 1e9 {
		t.Errorf("namespace %q, credits %v", a.text("namespace"), a.fields["credits"])
	}
	for i := range 51 {
		n := o.do("POST", "/keys/notes", map[string]any{"key": a.text("id"), "text": fmt.Sprint(i)}, "")
		if (n.status == http.StatusCreated) != (i < 50) {
			t.Errorf("note %d: %d %s", i, n.status, n.says)
		}
	}
	if q := o.do("POST", "/keys/quota", map[string]any{"key": a.text("id"), "dailyCallLimit": -5, "monthlyCallLimit": "7", "dailyCreditLimit": 1e12}, ""); q.status != http.StatusOK ||
		!maps.Equal(q.fields["quota"].(map[string]any), map[string]any{"dailyCallLimit": 0., "monthlyCallLimit": 7., "dailyCreditLimit": 1e9, "monthlyCreditLimit": 0.}) {
		t.Errorf("a quota: %+v", q)
	}
}

func TestAMoneyOperationHappensOncePerIdempotencyKeyHoweverManyAskAtOnce(t *testing.T) {
	t.Parallel()
	o := open(t, pricing.Plan{})
	from, fromID := o.made(map[string]any{"credits": 1000})
	_, toID := o.made(map[string]any{"credits": 1})
	const askers = 30
	together := func(fn func(i int) answer) (answers []answer) {
		answers = make([]answer, askers)
		var all sync.WaitGroup
		for i := range askers {
			all.Go(func() { answers[i] = fn(i) })
		}
		all.Wait()
		return answers
	}
	same := func(what string, answers []answer) {
		t.Helper()
		for _, a := range answers {
			if a.status >= 300 || fmt.Sprint(a.fields) != fmt.Sprint(answers[0].fields) {
				t.Errorf("%s: %+v, and %+v", what, a, answers[0])
				return
			}
		}
	}
	same("a top-up", together(func(int) answer { return o.do("POST", "/topup", map[string]any{"key": fromID, "credits": 7}, "k1") }))
	same("a transfer", together(func(int) answer {
		return o.do("POST", "/keys/transfer", map[string]any{"from": from, "to": toID, "credits": 600}, "k2")
	}))
	holds := together(func(int) answer {
		return o.do("POST", "/keys/reserve", map[string]any{"key": fromID, "credits": 5}, "k3")
	})
	same("a reservation", holds)
	same("a commit", together(func(int) answer {
		return o.do("POST", "/keys/reserve/commit", map[string]any{"reservationId": holds[0].text("id")}, "k4")
	}))
	if got := o.balance(fromID); got != 1000+7-600-5 {
		t.Errorf("the source has %d", got)
	}
	if got := o.balance(toID); got != 601 {
		t.Errorf("the destination has %d", got)
	}
	made := together(func(int) answer { return o.do("POST", "/keys", map[string]any{"name": "only one"}, "k5") })
	secrets := 0
	for _, a := range made {
		if strings.HasPrefix(a.text("key"), "pg_") && !strings.HasSuffix(a.text("key"), "...") {
			secrets++
		}
		if a.text("id") != made[0].text("id") {
			t.Error("one request made two keys")
		}
	}
	if secrets != 1 {
		t.Errorf("the secret was shown %d times", secrets)
	}
	if a := o.do("POST", "/topup", map[string]any{"key": fromID, "credits": 8}, "k1"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("another request under a used key: %+v", a)
	}
	o.restart()
	o.do("POST", "/keys/revoke", map[string]any{"key": fromID}, "")
	same("after a restart and the key's end", []answer{o.do("POST", "/topup", map[string]any{"key": fromID, "credits": 7}, "k1")})
	o.set(o.now().Add(31 * 24 * time.Hour))
	if err := o.ForgetAnswers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := o.do("POST", "/keys/transfer", map[string]any{"from": from, "to": toID, "credits": 600}, "k2"); a.status < 400 {
		t.Errorf("after its answer was forgotten it happened again: %+v", a)
	}
}

func TestTransfersNeverMoveWhatIsNotThere(t *testing.T) {
	t.Parallel()
	o := open(t, pricing.Plan{})
	ids := make([]string, 4)
	for i := range ids {
		_, ids[i] = o.made(map[string]any{"credits": 50})
	}
	var all sync.WaitGroup
	for w := range 12 {
		all.Go(func() {
			for i := range 15 {
				from, to := ids[(w+i)%4], ids[(w+i*3+1)%4]
				a := o.do("POST", "/keys/transfer", map[string]any{"from": from, "to": to, "credits": 9 + i}, "")
				if a.status != http.StatusOK && a.status != http.StatusBadRequest {
					t.Errorf("%+v", a)
				}
			}
		})
	}
	all.Wait()
	sum := int64(0)
	for _, id := range ids {
		have := o.balance(id)
		if have < 0 {
			t.Errorf("%s has %d", id, have)
		}
		sum += have
	}
	if sum != 200 {
		t.Errorf("200 credits became %d", sum)
	}
	p, err := o.book.Verify(t.Context(), nil)
	if err != nil || !p.OK() {
		t.Errorf("%v %v", err, p.Faults)
	}
}

func TestListsPageSortAndFilter(t *testing.T) {
	t.Parallel()
	o := open(t, pricing.Plan{})
	for i := range 9 {
		o.set(o.now().Add(time.Second))
		o.made(map[string]any{"name": fmt.Sprintf("k%d", 8-i), "credits": 10 * (i + 1), "namespace": []string{"a", "b"}[i%2]})
	}
	names := func(in map[string]any) (out []string) {
		t.Helper()
		a := o.do("GET", "/keys", in, "")
		rows, _ := a.fields["keys"].([]any)
		for _, row := range rows {
			out = append(out, row.(map[string]any)["name"].(string))
		}
		return out
	}
	for _, c := range []struct {
		in   map[string]any
		want string
	}{
		{map[string]any{"limit": 3}, "[k0 k1 k2]"}, // newest first
		{map[string]any{"limit": 3, "offset": 7}, "[k7 k8]"},
		{map[string]any{"limit": 2, "sortBy": "name", "order": "asc"}, "[k0 k1]"},
		{map[string]any{"limit": 2, "sortBy": "credits", "order": "asc"}, "[k8 k7]"},
		{map[string]any{"minCredits": 80}, "[k0 k1]"},
		{map[string]any{"maxCredits": 20, "sortBy": "credits"}, "[k7 k8]"},
		{map[string]any{"namePrefix": "K3"}, "[k3]"},
		{map[string]any{"namespace": "b", "limit": 2}, "[k1 k3]"},
		{map[string]any{"group": "none"}, "[]"},
		{map[string]any{"limit": "abc", "active": "false"}, "[]"},
		{map[string]any{"limit": 0}, "[k0]"},
	} {
		if got := fmt.Sprint(names(c.in)); got != c.want {
			t.Errorf("%v gives %s, want %s", c.in, got, c.want)
		}
	}
}

func TestASnapshotMakesTheKeysAgain(t *testing.T) {
	t.Parallel()
	o, other := open(t, pricing.Plan{}), open(t, pricing.Plan{})
	secret, id := o.made(map[string]any{"name": "one", "credits": 77, "tags": map[string]any{"a": "b"}, "ipAllowlist": []string{"10.0.0.0/8"}})
	snapshot, err := o.TakeSnapshot(t.Context(), "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(snapshot.Data), secret) {
		t.Error("a secret is in the snapshot")
	}
	for i, want := range []string{"imported", "skipped"} {
		out, err := other.Restore(t.Context(), keys.RestoreIn{Snapshot: &snapshot})
		n := out.Results["keys"]
		if err != nil || !out.Success || i == 0 && n.Imported != 1 || i == 1 && n.Skipped != 1 {
			t.Errorf("%s: %+v %v", want, out, err)
		}
	}
	if terms, why := other.Identify(secret); terms == nil || len(terms.IPs) != 1 || other.balance(id) != 77 {
		t.Errorf("the key elsewhere: %q, %d credits", why, other.balance(id))
	}
	if _, err := other.book.Journal().OfKey(id, 0, 10); err != nil {
		t.Error(err)
	}
	snapshot.Checksum = "x"
	if _, err := other.Restore(t.Context(), keys.RestoreIn{Snapshot: &snapshot}); err == nil {
		t.Error("a changed snapshot was taken")
	}
	p, err := other.book.Verify(t.Context(), nil)
	if err != nil || !p.OK() {
		t.Errorf("%v %v", err, p.Faults)
	}
}
