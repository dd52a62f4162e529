# Two commands do it all: `make book` and `make test`. See README.md.
.DEFAULT_GOAL := help
.PHONY: help setup book serve lab lint test benchmark clean

PYTHON  ?= python3
DATASET ?= synthetic
PORT    ?= 8000
BIN     := .venv/bin
READY   := .venv/.ready
# What the chapters compute from, besides their own text.
SOURCES := hfc constraints.txt book/claims.toml book/results

export HFC_DATASET := $(DATASET)
export TQDM_DISABLE := 1

help:
	@echo "make book       set up, run every chapter, build _build/html/index.html"
	@echo "make book DATASET=cifar10   the same, live on real CIFAR-10 found through HFC_DATA"
	@echo "make test       set up, lint, build the book, run all tests"
	@echo "make serve      show the built book at http://127.0.0.1:$(PORT)"
	@echo "make lab        open the chapters in JupyterLab"
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

# The notebook cache knows only the chapters' code, so it is dropped when the code or the
# results behind them change.
book: $(READY)
	@test $(DATASET) = synthetic || $(BIN)/python -m hfc data --need $(DATASET)
	@mkdir -p _build
	@{ echo $(DATASET); git ls-files -co --exclude-standard $(SOURCES) | sort | xargs cat; } \
	  | git hash-object --stdin > _build/sources.new
	@cmp -s _build/sources.new _build/sources || rm -rf _build/html _build/.doctrees _build/.jupyter_cache
	@mv _build/sources.new _build/sources
	@$(BIN)/jupyter-book build . -W -n --keep-going
	@echo "The book is ready: open $(CURDIR)/_build/html/index.html (or run 'make serve')."

serve: $(READY)
	@test -f _build/html/index.html || { echo "Nothing to serve yet: run 'make book' first."; exit 1; }
	@echo "http://127.0.0.1:$(PORT)  (Ctrl-C stops)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

lab: $(READY)
	@env -u TQDM_DISABLE $(BIN)/jupyter lab book

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/nbstripout --keep-count --verify book/*.ipynb

test: lint book
	@$(BIN)/python -m pytest hfc tests book --nbval-lax --nbval-current-env \
	  --nbval-sanitize-with tests/nbval_sanitize.cfg --nbval-cell-timeout 900

benchmark: $(READY)
	@$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-columns=median,iqr,rounds

clean:
	@rm -rf _build .pytest_cache .ruff_cache .hypothesis .benchmarks *.egg-info
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
