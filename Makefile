# Floodmark: `make demo` sets up and forecasts the example; `make test` is what must pass.
# Python 3.11 or newer; PYTHON=python3.12 chooses one.

PYTHON ?= $(shell for p in python3 python3.12 python3.13 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit 0; }; done)
BIN := .venv/bin
EXTRAS ?= dev
SHELL := /bin/bash

.PHONY: buying settings peers demo test test-live test-browser notebooks lint bench accuracy dashboard glossary clean lab-up lab-run lab-down

# Exit 3 means that a target is broken, which for the demo is the answer and no failure.
demo: .venv/ready
	@$(BIN)/python -m planner forecast planner/data/examples/events.yaml || [ $$? -eq 3 ]
	@echo && $(BIN)/python -m planner bill planner/data/examples/events.yaml --against plan || [ $$? -eq 3 ]

KERNEL_TESTS = $(wildcard tests/test_simulator_kernels*.py)

# The kernels also with array bounds checked, and (shorter) without a compiler; pytest's own count comes last.
test: lint
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=.numba_cache/bounds $(BIN)/python -m pytest -p no:cacheprovider $(KERNEL_TESTS)
	NUMBA_DISABLE_JIT=1 FLOODMARK_SHORT=1 $(BIN)/python -m pytest -p no:cacheprovider $(KERNEL_TESTS)
	$(BIN)/python -m pytest -p no:cacheprovider -n 2 --dist loadfile

# Real Kafka, Spark, search servers, Prometheus and exporters, some eight minutes; all skip where no Java 21+ is found.
test-live: .venv/ready
	FLOODMARK_LIVE=1 $(BIN)/python -m pytest -p no:cacheprovider -rs tests/test_live_stack.py tests/test_live_exporters.py \
	  tests/test_live_sample.py

# All notebooks from the root, outputs kept. ARGS=--check keeps nothing: what came out otherwise than committed fails it.
notebooks: .venv/ready
	$(BIN)/python notebooks/run.py $(ARGS)

# The dashboard in a real headless Chromium, some minutes; skipped (pytest's 5: nothing was run) where there is none.
test-browser: .venv/ready
	FLOODMARK_BROWSER=1 $(BIN)/python -m pytest -p no:cacheprovider -rs tests/test_dashboard_browser.py || [ $$? -eq 5 ]

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --follow-imports=silent

bench: .venv/ready
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.pricing_speed
	$(BIN)/python -m benchmarks.start

# What a recommendation takes in time and memory, some minutes; settings it chose, as the laboratory ran them.
buying settings: .venv/ready
	$(BIN)/python -m benchmarks.$@

# Beside service-capacity-modeling, in the environment of PEER (an interpreter that has it).
peers: .venv/ready
	$(BIN)/python -m benchmarks.peers $(if $(PEER),--python $(PEER))

accuracy: .venv/ready
	$(BIN)/python -m benchmarks.accuracy

# ARGS="my.yaml --port 8600" opens another scenario elsewhere.
dashboard: .venv/ready
	@$(BIN)/python -c 'import streamlit' 2>/dev/null || $(BIN)/python -m pip install --quiet -e '.[dashboard]'
	@$(BIN)/python -m planner dashboard $(ARGS)

# A real small Kafka, Spark and OpenSearch on this machine; needs Java 21+ and Maven (lab/README.md).
lab-up lab-run lab-down: .venv/ready
	$(BIN)/python -m lab $(@:lab-%=%) $(ARGS)

glossary: .venv/ready
	$(BIN)/python -m planner glossary > docs/glossary.md

# Built anew when the dependencies change. An environment made by other means counts if it can import everything.
.venv/ready: pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Floodmark needs Python 3.11 or newer, as python3 or python3.1x on the path" >&2; exit 1; }
	@[ -x $(BIN)/python ] || { echo "setting up .venv with $$($(PYTHON) --version)" >&2; $(PYTHON) -m venv .venv; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]' \
	  || $(BIN)/python -c 'import numpy, numba, pandas, plotly, pydantic, rich, scipy, simpy, typer, yaml' \
	  || { echo "pip could not install what pyproject.toml lists; with the packages at hand elsewhere, make .venv yourself:" \
	       "python3 -m venv --system-site-packages .venv" >&2; exit 1; }
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .numba_cache .pytest_cache .mypy_cache .ruff_cache
