# `make demo` and `make test` do all the set-up they need: Python 3.11 or newer and make are enough.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench fuzz chaos clean
BIN := .venv/bin
STAMP := .venv/.synced

help:  ## What there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# uv of the machine if there is one, else uv in the environment itself, which is of the Python that deploy/interpreter.py names.
$(STAMP): pyproject.toml uv.lock
	@echo "Setting up .venv (once; needs the package index)"
	@if command -v uv >/dev/null 2>&1; then uv sync --frozen --quiet $${BATON_PYTHON:+--python "$$BATON_PYTHON"}; else \
	  test -x $(BIN)/uv || { of=$$(python3 deploy/interpreter.py) && python3 -m venv .venv \
	    && $(BIN)/python -m pip install --quiet --disable-pip-version-check uv \
	    && $(BIN)/uv venv --quiet --allow-existing --python "$$of" .venv; } \
	  && UV_PROJECT_ENVIRONMENT=.venv $(BIN)/uv sync --frozen --quiet --inexact; fi
	@$(BIN)/python -m deploy.local.ahead
	@touch $@

setup: $(STAMP)  ## The environment, nothing else

demo: $(STAMP)  ## The main job on real servers: 600 orders, 80 drivers, about three minutes
	@$(BIN)/baton demo

test: $(STAMP)  ## All tests with branch coverage
	@$(BIN)/python -m tests.run

check: $(STAMP)  ## Types, style, generated code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m dispatch.contract.generate --check
	$(BIN)/python -m dispatch.contract.registry --check
	$(BIN)/python -m gateways.documents.typescript --check
	$(BIN)/python -m dispatch.metrics --check
	$(BIN)/python -m deploy.prometheus --check
	$(BIN)/python -m deploy.grafana --check
	$(BIN)/python -m projections.analytics.document --check
	$(BIN)/python -m projections.keeping.dictionary --check

format: $(STAMP)  ## Lays the code out
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)  ## Figures beside named peers
	@$(BIN)/python -m bench

fuzz: $(STAMP)  ## Odd bytes at every decoder, odd requests at every door, the long form
	@$(BIN)/python -m tests.fuzz

chaos: $(STAMP)  ## Faults on real servers, the long form
	@$(BIN)/python -m tests.chaos

clean:  ## Stops the local stack and removes its data
	@test ! -x $(BIN)/baton || $(BIN)/baton down
	rm -rf .baton
