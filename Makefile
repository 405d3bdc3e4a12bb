# The verbs of this repository. `make test` is what CI runs.
GO ?= go
LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: build test unit lint clients bench fuzz soak pictures

# With the profile of a gateway that charges; tests build without, which is faster.
build:
	$(GO) build -trimpath -pgo testdata/bench/cpu.pgo -o paygate .

# Everything: vet for all systems, lint, the npm servers and clients that the
# tests talk to, and every test under the race detector.
test: clients
	$(GO) vet ./...
	GOOS=darwin $(GO) vet .
	GOOS=windows $(GO) vet .
	$(MAKE) lint
	$(MAKE) unit

unit:
	$(GO) test -race -timeout 10m ./...

# The linter is a program of its own; it is built once and kept in .cache.
lint: .cache/bin/golangci-lint
	.cache/bin/golangci-lint run ./...

.cache/bin/golangci-lint:
	GOBIN=$(CURDIR)/.cache/bin $(GO) install $(LINT)

# Real MCP servers and clients, for the end-to-end tests.
clients: testdata/clients/node_modules/.installed
testdata/clients/node_modules/.installed: testdata/clients/package.json
	npm install --prefix testdata/clients --no-audit --no-fund --ignore-scripts --loglevel=error
	touch $@

# What charging costs, against a bare echo and our own uncharged path, in one run.
bench: build
	$(GO) run ./testdata/bench -bin ./paygate

# An accountant of our own beside a hundred weeks of any traffic; and fifty agents
# at once, for minutes, before every kind of server: nobody hears what is another's.
SOAK ?= 2m
soak:
	PAYTEST_ORACLE=100 $(GO) test -timeout 60m -run TestAnAccountant ./server
	PAYTEST_SOAK=$(SOAK) $(GO) test -timeout 60m -run TestCallersNeverMeet ./server

# Every parser is fed nonsense, each for a while.
FUZZTIME ?= 20s
fuzz:
	@set -e; for at in $$(grep -roH --include='*_test.go' '^func Fuzz[A-Za-z]*' . | sed 's/:func /:/'); do \
		dir=$$(dirname $${at%%:*}); name=$${at##*:}; echo "$$dir $$name"; \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) $$dir; \
	done

# README's pictures, from the running demo; they take the five minutes that the
# first chart shows.
pictures: build
	$(GO) run ./testdata/readme -after 310s -keys '' -o testdata/readme/dashboard.svg -keys 5,2s -o testdata/readme/lab.svg -keys 2,j,j,2s -o testdata/readme/calls.svg -- ./paygate demo
