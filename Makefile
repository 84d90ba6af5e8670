# Everything that is done with this checkout. `make` lists the targets.
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet --quiet
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate
PYTHON ?=
ARGS ?=
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help install run check test evidence coverage bench fmt openapi docs lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

install: .venv/.dev ## install everything that development needs into .venv
	@echo "Ready. Try $(BIN)/stagefolio --help, or make check."

run: .venv/.run ## start database, API and worker with a simulated institution; ARGS="--port 8100 --data DIR"
	@$(BIN)/stagefolio run --demo $(ARGS)

check: .venv/.dev ## the quick loop, under a minute: lint, types, import rules, tests that need no database
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo > .venv/imports.txt || { cat .venv/imports.txt; exit 1; }
	@$(BIN)/pytest -q -n auto -m "pure and not evidence" $(ARGS)

test: .venv/.dev ## everything, under ten minutes: lint, types, import rules, Dockerfile, all tests
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/pytest -n auto --dist worksteal $(ARGS)

evidence: .venv/.dev ## the tests that take long or need the shared data
	@$(BIN)/pytest -m evidence --durations=10 $(ARGS)

coverage: .venv/.dev ## all tests in one process, and which lines of app/ they never ran
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q -n 0 $(ARGS)
	@$(BIN)/coverage combine --quiet && $(BIN)/coverage report

bench: .venv/.bench ## the promises of speed, as a table and in benchmarks/latest.json; ARGS="NAME ..." runs some
	@$(BIN)/python -m benchmarks $(ARGS)

fmt: .venv/.dev ## format the code and mend what can be mended
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format .

openapi: .venv/.dev ## write the contract, openapi/openapi.json
	@mkdir -p openapi
	@$(BIN)/stagefolio openapi > .venv/openapi.json && mv .venv/openapi.json openapi/openapi.json

docs: .venv/.dev ## write the pages of docs/ that come from the code
	@$(BIN)/python -m tests.generated_pages

lock: .venv/.dev ## resolve the dependencies anew; ARGS="--upgrade" takes the newest
	@$(LOCK) $(ARGS) --group dev pyproject.toml --output-file requirements-dev.lock
	@$(LOCK) --constraint requirements-dev.lock pyproject.toml --output-file requirements.lock
	@$(LOCK) --constraint requirements-dev.lock --group build --output-file requirements-build.lock
	@$(LOCK) $(ARGS) --constraint requirements-dev.lock --group bench --output-file requirements-bench.lock

clean: ## remove .venv and all caches; databases and other data stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* dist
	@find app benchmarks migrations tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: a target is made again only when a file on its right is newer.
.venv/.python:
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 ""; do \
	  if [ -z "$$python" ]; then echo "Python 3.11 or newer is needed: none was found as python3 or python3.11 to python3.14." >&2; exit 1; fi; \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then break; fi; \
	done; \
	if ! $(BIN)/python -m pip --version > /dev/null 2>&1; then \
	  rm -rf .venv; \
	  "$$python" -m venv .venv || { rm -rf .venv; echo "$$python cannot make a virtual environment: install its venv module (Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; }; \
	fi
	@touch $@

.venv/.run: requirements.lock requirements-build.lock pyproject.toml | .venv/.python
	@echo "Installing the locked dependencies; the next start skips this."
	@$(PIP) --require-hashes --only-binary :all: -r requirements.lock -r requirements-build.lock
	@$(PIP) --no-deps --no-build-isolation --no-index --editable .
	@touch $@

.venv/.dev: requirements-dev.lock pyproject.toml | .venv/.python
	@echo "Installing the locked dependencies of development; the next time skips this."
	@$(PIP) --require-hashes --only-binary :all: -r requirements-dev.lock
	@$(PIP) --no-deps --no-build-isolation --no-index --editable .
	@touch $@ .venv/.run

.venv/.bench: requirements-bench.lock .venv/.dev
	@echo "Installing the locked libraries that benchmarks compare with; the next time skips this."
	@$(PIP) --require-hashes --only-binary :all: -r requirements-bench.lock
	@touch $@
