# `make demo` and `make test` set everything up on a fresh machine: a virtual environment, then the package.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet torch torchvision
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

setup: $(READY)  ## create .venv (about 7 GB; the README has the CPU wheels)

demo: $(READY)  ## the paper's ablation table from real training on synthetic video (no GPU, two cores)
	$(BIN)/agrm-study run search_spaces/demo.yaml

test: $(READY)  ## the tests (a few minutes)
	$(BIN)/python -m pytest -n 2

slow: $(READY)  ## tests that train to convergence, simulate or measure
	$(BIN)/python -m pytest -m slow

chaos: $(READY)  ## tests that kill processes at random
	$(BIN)/python -m pytest -m chaos

cluster: $(READY)  ## tests on several Ray nodes on this machine
	$(BIN)/python -m pytest -m cluster

check: $(READY)  ## style, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)  ## the documentation as HTML, in docs/_build
	$(BIN)/python -m sphinx -q -W --keep-going docs docs/_build
	@echo "docs/_build/index.html"

bench: $(READY)  ## every benchmark in turn
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script; done

gpu: $(READY)  ## GPU tests and benchmark, in at most eight minutes on one GPU; without one, most of it is skipped
	$(BIN)/python benchmarks/gpu.py --save

floors:  ## a small study and the tests on the lower bounds of pyproject.toml, in .venv-lowest
	$(PYTHON) tools/floors.py lowest

newest:  ## a small study and the tests on the newest releases, in .venv-newest
	$(PYTHON) tools/floors.py newest

.PHONY: help setup demo test slow chaos cluster check docs bench gpu floors newest
