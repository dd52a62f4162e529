# Two commands do it all: `make book` and `make test`. See README.md.
.DEFAULT_GOAL := help
.PHONY: help setup book serve lab lint check test benchmark clean

PYTHON  ?= python3
DATASET ?= synthetic
PORT    ?= 8000
BIN     := .venv/bin
READY   := .venv/.ready

# Commands read what a user chose from their environment, as text, so that it never is a command.
override DATASET := $(value DATASET)
override PORT := $(value PORT)
export PORT
export HFC_DATASET := $(DATASET)
export TQDM_DISABLE := 1

help:
	@echo "make book       set up, run every chapter, build _build/html/index.html"
	@echo "make book DATASET=cifar10   the same, live on real CIFAR-10 found through HFC_DATA"
	@echo "make lab        open the chapters in JupyterLab; Run > Run All Cells fills in the numbers"
	@echo "make serve      show the built book at http://127.0.0.1:$$PORT"
	@echo "make check      lint, and the tests that take no book, no browser and not long"
	@echo "make test       lint, build the book, run all tests"
	@echo "make benchmark  time hfc.frequency against other ways to do it"
	@echo "make clean      remove what was built"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; try 'make $(MAKECMDGOALS) PYTHON=python3.12'"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	  { echo "Python's venv is missing; on Debian or Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Setting up .venv (about two minutes, 2 GB) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[book,test]'
	@touch $@

book: $(READY)
	@$(BIN)/python book/_ext/build.py
	@echo "The book is ready: open $(CURDIR)/_build/html/index.html (or run 'make serve')."

serve: $(READY)
	@test -f _build/html/index.html || { echo "Nothing to serve yet: run 'make book' first."; exit 1; }
	@echo "http://127.0.0.1:$$PORT  (Ctrl-C stops)"
	@$(BIN)/python -m http.server "$$PORT" --bind 127.0.0.1 --directory _build/html

lab: $(READY)
	@env -u TQDM_DISABLE $(BIN)/jupyter lab book

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/nbstripout --keep-count --extra-keys cell.metadata.user_expressions \
	  --verify book/*.ipynb

# What one wants to know before a commit, in two minutes: both cores, fewer random examples, and no
# test that says itself that it is slow, so that a new one runs here until somebody finds it slow.
check: lint
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest hfc tests -m "not slow and not browser" \
	  --numprocesses 2 --hypothesis-profile quick

test: lint book
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest hfc tests --numprocesses 2 --dist loadfile
	@$(BIN)/python -m pytest book/*.ipynb --nbval-lax --nbval-current-env \
	  --nbval-sanitize-with tests/nbval_sanitize.cfg --nbval-cell-timeout 900

benchmark: $(READY)
	@$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-columns=median,iqr,rounds

clean:
	@rm -rf _build .pytest_cache .ruff_cache .hypothesis .benchmarks *.egg-info
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
