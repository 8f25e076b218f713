# make demo [PORT=5000]   serve the example app, with data to try, or with a Glance's images:
#                         GLANCE_DATABASE_URL=sqlite:////path/to/glance.sqlite, or GLANCE_URL=http://...;
#                         with GLANCE_TOKEN=..., an admin's, the page lists the API's images, too
# make test               set everything up and run the test suite
# Both need Python 3.10 or later (PYTHON=python3), make and PyPI. CONTRIBUTING.md lists the other targets.

PYTHON ?= python3
PORT ?= 5000
N ?= 1000000
SEED ?= 0
# This file's folder, even if make runs elsewhere or the path contains spaces.
ROOT := $(shell cd "$$(dirname "$(strip $(MAKEFILE_LIST))")" && pwd)
# "$(setup) GROUP..." installs dependency groups in .venv; $(run) is its Python.
setup = cd "$(ROOT)" && $(PYTHON) tools/venv.py
run = .venv/bin/python
parallel = -n 3 --dist worksteal
# Containers often turn this off, and then each of the many processes that tests start compiles SQLAlchemy again.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test lint format types docs check bench fuzz

demo:
	@$(setup) demo && exec $(run) -m example_app --port "$(PORT)"

test:
	@$(setup) test browser && $(run) -m pytest $(parallel) $(ARGS)

lint:
	@$(setup) lint && $(run) -m ruff check . && $(run) -m ruff format --check .

format:
	@$(setup) lint && $(run) -m ruff check --fix . ; $(run) -m ruff format .

types:
	@$(setup) test typing && $(run) -m mypy && $(run) -m pyright --pythonpath $(run)

docs:
	@$(setup) docs && $(run) -m sphinx -W --keep-going -n -q -b html docs docs/_build/html && echo "See docs/_build/html/index.html"

check: lint types docs
	@$(setup) check && $(run) -m nox $(ARGS) -- $(parallel)

bench:
	@$(setup) bench && $(run) benchmarks/run.py $(ARGS)

fuzz:
	@$(setup) test && $(run) tools/fuzz.py -n "$(N)" --seed "$(SEED)"
