# Everything starts from nothing but Python 3.11 (or newer) and make: the first target that needs it makes .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
WHEEL_VENV := build/wheel-venv
OUTAGE_S ?= 300
PYTEST := $(BIN)/python -m pytest
MATRIX := tests/transitions tests/rooms tests/guide tests/worker tests/mutants tests/durability
ACL_GUIDE := first_app.py scheduling_inside.py queries.py cancelling.py results.py listing.py

.DEFAULT_GOAL := help

.PHONY: help
help: ## Explain every target
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk 'BEGIN {FS = ":.*## "} {printf "  %-12s %s\n", $$1, $$2}'

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say PYTHON=... ")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(READY)

.PHONY: install
install: $(READY) ## Make .venv with the project and its tools

.PHONY: demo
demo: $(READY) ## Run 1,000 orders through two workers, kill one of them, and check every promise
	$(BIN)/python -m examples.demo

.PHONY: bank
bank: $(READY) ## Move money while workers are killed, and check that it adds up
	$(BIN)/python -m examples.bank.run

.PHONY: dev
dev: $(READY) ## Run the example app with an embedded server and a worker that reloads
	$(BIN)/duestream dev examples.shop:app

.PHONY: servers
servers: $(READY) ## Fetch Redis 7.0 and libfaketime for tests into build/servers, without root
	$(BIN)/python -m tests.servers

.PHONY: servers-all
servers-all: $(READY) ## Fetch all servers of the matrix into build/servers
	$(BIN)/python -m tests.servers --all

.PHONY: test
test: servers ## Run all tests on the embedded server, and print the coverage
	COVERAGE_FILE=.coverage $(PYTEST) --durations 20 --cov --cov-report=term:skip-covered

.PHONY: test-redis7
test-redis7: servers ## Run the tests of scripts and workers on Redis 7.0
	DUESTREAM_TEST_SERVER=redis-7.0 $(PYTEST) -q tests/transitions tests/rooms tests/worker

.PHONY: test-acl
test-acl: servers ## Run all tests on Redis 7.0, every client of duestream as a user with the rights of its role only
	DUESTREAM_TEST_ACL=1 DUESTREAM_TEST_SERVER=redis-7.0 $(PYTEST) -q

.PHONY: test-acl-some
test-acl-some: servers ## The same, as much of it as CI runs
	DUESTREAM_TEST_ACL=1 DUESTREAM_TEST_SERVER=redis-7.0 $(PYTEST) -q tests/transitions tests/rooms $(addprefix tests/guide/test_,$(ACL_GUIDE))

.PHONY: test-matrix
test-matrix: servers ## Run the tests of scripts, rooms, workers and the guide on each server of the matrix that is here
	for server in $$($(BIN)/python -m tests.servers | cut -d ' ' -f 1); do \
		echo "== $$server"; \
		DUESTREAM_TEST_SERVER=$$server $(PYTEST) -q $(MATRIX) || exit 1; \
	done

.PHONY: outage
outage: $(READY) ## Have Redis away for five minutes (OUTAGE_S), in several ways, and see work go on
	OUTAGE_S=$(OUTAGE_S) $(PYTEST) tests/faults/test_outages.py -s -k "$(OUTAGE_S) or two_seconds"

.PHONY: chaos
chaos: servers ## Break everything for eight minutes, and check every promise (LONG=1: two hours; SEED=, SCHEDULE=, SERVER=)
	$(BIN)/python -m tests.faults.chaos $(if $(LONG),--long) $(if $(SEED),--seed $(SEED)) \
		$(if $(SCHEDULE),--schedule $(SCHEDULE)) $(if $(SERVER),--server $(SERVER))

.PHONY: model
model: $(READY) ## Drive the scripts against the model, DEEP (10) times the 2,000 runs of the tests (SEED=)
	DEEP=$(or $(DEEP),10) SEED=$(SEED) $(PYTEST) -q tests/properties/test_model.py

.PHONY: test-blocked
test-blocked: $(READY) ## Run handlers that hold the interpreter for a minute, and see that they keep their leases
	LONG_BLOCK_S=60 $(PYTEST) -q tests/worker/test_keeper.py -k keeps_its_lease

.PHONY: lint
lint: $(READY) ## Check format, style, types and the arrows between packages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(READY) ## Format the code and mend what can be mended safely
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: build
build: $(READY) ## Build the wheel and the source distribution into dist/
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

.PHONY: wheel
wheel: build ## Install the built wheel into a fresh environment and run the demo from it
	rm -rf $(WHEEL_VENV) build/wheel-demo
	$(PYTHON) -m venv $(WHEEL_VENV)
	$(WHEEL_VENV)/bin/python -m pip install --quiet --disable-pip-version-check "$$(ls dist/*.whl)[embedded]"
	mkdir -p build/wheel-demo && cp -r examples build/wheel-demo/examples
	cd build/wheel-demo && ../wheel-venv/bin/python -m examples.demo

.PHONY: fuzz
fuzz: $(READY) ## Throw N fuzzed payloads (200000) of one SEED (1) at all that reads them
	$(BIN)/python -m tests.faults.corpus.fuzz --count $(or $(N),200000) --seed $(or $(SEED),1)

.PHONY: soak
soak: $(READY) ## Steady load for MINUTES (60), and whether memory, files, tasks or keys grow
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),60)

.PHONY: bench
bench: servers ## Measure duestream against the bare loop and its targets, then contention (SAVE=1: for docs/performance.md)
	$(BIN)/python -m benchmarks.bench $(if $(SAVE),--save)
	$(BIN)/python -m benchmarks.contention --jobs 4000

.PHONY: bench-peers
bench-peers: servers ## Make the peers' environments in build/bench-venvs, and measure all systems (two hours; ROUNDS=3)
	$(BIN)/python -m benchmarks.environments
	$(BIN)/python -m benchmarks.all_systems --rounds $(or $(ROUNDS),3)

.PHONY: bench-growth
bench-growth: servers ## Measure how cost grows with jobs, workers, queues and batches, a fleet of 1,000 workers at last (half an hour)
	$(BIN)/python -m benchmarks.growth --save

.PHONY: performance
performance: $(READY) ## Fill the tables of docs/performance.md from benchmarks/results, and draw its plots
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m benchmarks.report

.PHONY: profile
profile: servers ## Profile producers, and workers under a drain, into build/profile
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m benchmarks.profiles

.PHONY: ci
ci: ## What CI runs: lint, tests, some on Redis 7.0 and under users, chaos (SEED=), the wheel and its demo
	@for step in lint test test-redis7 test-acl-some chaos wheel; do \
		echo "== $$step, from $$(date -u +%T)"; \
		$(MAKE) --no-print-directory $$step || exit 1; \
	done

.PHONY: clean
clean: ## Remove what the other targets made
	rm -rf $(VENV) build dist .coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
