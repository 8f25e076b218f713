# make demo [PORT=5000]   serve the example app, with data to try, or with a Glance's images:
#                         GLANCE_DATABASE_URL=sqlite:////path/to/glance.sqlite, or GLANCE_URL=http://...
# make test               set everything up and run the test suite
# Both need only Python 3.10 or later (PYTHON=python3) and make.

PYTHON ?= python3
PORT ?= 5000
N ?= 1000000
SEED ?= 0
# This file's folder, also when it is named from elsewhere or has spaces in its path.
ROOT := $(shell cd "$$(dirname "$(strip $(MAKEFILE_LIST))")" && pwd)
setup = cd "$(ROOT)" && $(PYTHON) tools/venv.py
run = .venv/bin/python

.PHONY: demo test lint types check docs bench fuzz format

demo:
	@$(setup) demo && exec $(run) -m example_app --port "$(PORT)"

test:
	@$(setup) test browser && $(run) -m pytest -n 2 --dist worksteal --cov --cov-report=term -m "not slow" $(ARGS)

lint:
	@$(setup) lint && $(run) -m ruff check . && $(run) -m ruff format --check .

format:
	@$(setup) lint && $(run) -m ruff check --fix . ; $(run) -m ruff format .

types:
	@$(setup) test typing && $(run) -m mypy

check: lint types docs
	@$(setup) check && $(run) -m nox $(ARGS)

docs:
	@$(setup) test docs && $(run) -m sphinx -W --keep-going -n -q -b html docs docs/_build/html && echo "See docs/_build/html/index.html"

bench:
	@$(setup) bench && $(run) benchmarks/run.py $(ARGS)

fuzz:
	@$(setup) test && $(run) tools/fuzz.py -n "$(N)" --seed "$(SEED)"
