SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# The real data, where this checkout has it; tests that need it say so when they skip.
ifneq ($(wildcard ../shared/data),)
export CROSSTRAIT_DATA ?= $(abspath ../shared/data)
endif

.PHONY: demo test lint docs clean

demo: $(STAMP)  ## Train every model on a simulated cross and write a leaderboard and a report.
	$(BIN)/crosstrait demo --out demo

test: $(STAMP)  ## Run the test suite on all cores.
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal --durations 15 --ignore tests/docs

lint: $(STAMP)  ## Check style and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)  ## Build the site with warnings as errors, and run every example in it.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	$(BIN)/pytest --doctest-modules src/crosstrait -p no:cacheprovider
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal tests/docs

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"crosstrait needs Python 3.11 or newer; {sys.executable} is {v[0]}.{v[1]}. Set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[trees,tune,ray,slurm,modal,tensorboard,docs,test,lint]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) demo runs site build dist .pytest_cache .mypy_cache .ruff_cache
