# The two commands: make run, make test. Both work on a machine with Python 3.11 to 3.13 and make, nothing else prepared.
#   make run   [DEMO=1] [PORT=8000] [HOST=127.0.0.1] [NO_APT=1]   docs/running.md
#   make test  [ARGS="-k restic"] [NO_APT=1]                      CONTRIBUTING.md
#   make manage ARGS='census'       a command of the product on the data of a running make run

PYTHON := $(shell for name in python3 python3.13 python3.12 python3.11; do \
	if $$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then echo $$name; break; fi; \
	done)

.PHONY: run manage test test-gateways lint check bench fuzz simulate lock clean help require-python

run: require-python
	@exec $(PYTHON) -m launch run

# a command of the product on the data of a running make run: make manage ARGS="census"
manage: require-python
	@exec $(PYTHON) -m launch manage $(ARGS)

test: require-python
	@exec $(PYTHON) -m launch test

# ticket gateways against every real ticket system that can be installed here; as root, by apt
test-gateways: require-python
	@exec $(PYTHON) -m launch test-gateways

# lint, types, import rules, missing migrations: everything but the tests
lint: require-python
	@exec $(PYTHON) -m launch lint

# lint and test, as a change must pass them
check:
	@exec .ci/run

bench: require-python
	@exec $(PYTHON) -m launch bench

# changed logs into every log format: make fuzz ARGS="--seconds 600 --format tar"
fuzz: require-python
	@exec $(PYTHON) -m launch fuzz

# a simulated year of 2,000 jobs, scored (half an hour): make simulate ARGS="--jobs 200 --days 120"
simulate: require-python
	@exec $(PYTHON) -m launch simulate

# pins requirements*.txt anew from requirements*.in; needs uv
lock: require-python
	@exec $(PYTHON) -m launch lock

# removes the virtual environments and caches, never data
clean:
	rm -rf .venv .desks .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .fuzz staticfiles

help:
	@sed -n '1,4p' Makefile

require-python:
	@if [ -z "$(PYTHON)" ]; then echo "Backledger needs Python 3.11, 3.12 or 3.13, and found none as python3, python3.13, python3.12 or python3.11: install one and try again." >&2; exit 1; fi
