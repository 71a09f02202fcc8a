# `make demo` and `make test` set up everything they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: setup test demo lint types check screens drills bench clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --group data
	touch $@

# Two at a time: each file of tests stays in one process. WORKERS=0 runs all in this one.
test: setup
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

demo: setup
	$(BIN)/python examples/weekly_recommendations/demo.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

check: lint types test

screens: setup
	$(BIN)/python -m tests.acceptance.screens

drills: setup
	$(BIN)/python -m pytest -m drill

bench: setup
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
