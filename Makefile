# Needs python3 >= 3.11, pip, make and git. Everything else goes into .venv.

PYTHON ?= python3
WORKERS ?= 2

BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: help demo test slow check fuzz bench clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 8

# Six programs are compiled, each of which runs for seconds: less effort of the compiler, the same bits, half of the time.
demo: export XLA_FLAGS ?= --xla_backend_optimization_level=1
demo: $(INSTALLED)  ## search over handwritten digits; run it again to go on
	$(BIN)/python examples/digits.py

test: $(INSTALLED)  ## the tests and doctests, in about five minutes on two cores
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

slow: $(INSTALLED)  ## the tests marked slow, which CI runs too
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m slow

check: $(INSTALLED)  ## lint, format, types and the import contract
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

fuzz: $(INSTALLED)  ## the property tests on many random examples, and tests marked fuzz
	HYPOTHESIS_PROFILE=fuzz $(BIN)/pytest -n $(WORKERS) -m 'fuzz or hypothesis'

bench: $(INSTALLED)  ## every benchmark
	set -e; for script in benchmarks/*.py; do echo "$$script"; $(BIN)/python "$$script"; done

clean:  ## remove .venv and all caches, and keep runs/
	rm -rf .venv .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .coverage dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp: installed again when, and only when, pyproject.toml has changed.
$(INSTALLED): pyproject.toml | $(BIN)/python
	@if $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		pip="$(BIN)/python -m pip"; \
	else \
		pip="$(PYTHON) -m pip --python $(BIN)/python"; \
	fi; \
	echo "$$pip install -e .[dev]"; \
	$$pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

# Some systems ship python3 without ensurepip; then the pip of $(PYTHON) installs into .venv.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "pgjax needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
			"Name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "$(PYTHON) -m venv .venv"
	@$(PYTHON) -m venv --clear .venv >/dev/null 2>&1 || $(PYTHON) -m venv --clear --without-pip .venv
