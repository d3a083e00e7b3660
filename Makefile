# The commands of this project; `make` alone lists them. Everything runs in one .venv: `make run` puts
# into it what users need, the others add what developers need. It is set up again only when setup.cfg
# (the dependencies) changes or this folder is moved. The folder may
# have any name, so paths are quoted, and what is installed is run as `python -m`: the first lines of
# scripts in .venv/bin name the folder that it was made in.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PY     := "$(BIN)/python"
PIP    := $(PY) -m pip install --quiet --disable-pip-version-check
TLL    := $(PY) -m tll_index
none   :=
# The names of targets, in which make wants spaces escaped; recipes say "$@".
STAMP  := $(shell (cat setup.cfg; pwd) | cksum | cut -d' ' -f1)
CORE   := $(subst $(none) $(none),\ ,$(VENV))/core-$(STAMP)
READY  := $(subst $(none) $(none),\ ,$(VENV))/ready-$(STAMP)
PEERS  := $(READY)-peers
GPU    := $(wildcard /dev/nvidia0 /dev/nvidiactl /dev/dxg /dev/kfd)
RUN    := run
IMAGES ?= $(RUN)/gallery
ORDER  := $(or $(ORDER),$(shell date +%s))
WORKERS := -n auto --maxprocesses 4 --dist worksteal
STORE  = $(RUN)/store-$(shell echo "$(IMAGES)" | cksum | cut -d' ' -f1)

# Where Python keeps no bytecode, each of the thousand processes that tests start compiles all of ours.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test lint bench bench-compare bench-tll bench-serve bench-why bench-collection bench-borders bench-faces judge bench-cluster torture study backbone lens tour docs dist clean test-all test-busy test-pythons coverage

help:  ## list these commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 18

setup: $(READY)  ## make the .venv

define new_venv
@rm -f "$(VENV)"/core-* "$(VENV)"/ready-*
test -x $(PY) || "$(PYTHON)" -m venv "$(VENV)"
endef

$(CORE):
	@echo "setting up $(VENV) with what 'make run' needs: a minute"
	$(new_venv)
	$(PIP) --editable .
	@touch "$@"

$(READY):
	@echo "setting up $(VENV) with what developers need: some minutes, torch is large"
	$(new_venv)
	$(PIP) 'pip >= 24'  # older ones download version after version of what has many, for minutes
	$(cpu_torch)
	$(PIP) --editable '.[dev]'
	$(PIP) --no-deps 'facenet-pytorch == 2.6.0'  # for its weights alone: it asks for an old torch
	@touch "$@" "$(VENV)/core-$(STAMP)"

# PyPI's torch has 5 GB of CUDA with it. Where there is no GPU, and pip is told of an index that has
# builds for CPUs ("+cpu"; PIP_EXTRA_INDEX_URL), those are taken. torchvision, which timm imports, decides
# which: it fits no other build of torch than its own.
ifeq ($(GPU),)
define cpu_torch
@version=$$($(PY) -m pip index versions torchvision 2> /dev/null | grep -oE '[0-9.]+\+cpu' | head -n 1); \
  [ -z "$$version" ] || $(PIP) "torchvision == $$version" || echo "it does not fit: taking PyPI's torch"
endef
endif

run: $(CORE)  ## index IMAGES=dir (default: a gallery that is drawn first), query it, show the pictures
ifeq ($(IMAGES),$(RUN)/gallery)
	$(PY) examples/gallery $(RUN)/gallery
endif
	$(TLL) build "$(IMAGES)" --store $(STORE)
	$(TLL) query --sample 8 -k 6 --html lookalikes.html --store $(STORE)
	@echo "now open lookalikes.html; your own pictures: make run IMAGES=DIR"

test: $(READY) lint  ## lint, type-check, and the tests of five minutes
	$(PY) -m pytest $(WORKERS)

test-all: $(READY)  ## every test, in an order of chance: half an hour; ORDER=number: in that one again
	@echo "make test-all ORDER=$(ORDER) repeats this order"
	$(PY) -m pytest $(WORKERS) -m "" -p randomly --randomly-seed=$(ORDER)

test-busy: $(READY)  ## every test, three times, beside eight busy loops: hours
	$(PY) tests/busy.py $(MAKE) --no-print-directory test-all

coverage: $(READY)  ## which lines of the package no test runs: htmlcov/index.html
	$(PY) -m pytest $(WORKERS) -m "" --cov --cov-report=html --cov-report=term:skip-covered

test-pythons:  ## the fast suite on Python 3.10 to 3.13, as far as they are here; PYTHONS="3.10 3.13": those
	.ci/test-pythons $(PYTHONS)

lint: $(READY)  ## ruff (lint and format), mypy, and that no retired word is back in a name
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) tests/retired_words.py
	@mkdir -p "$(VENV)/src" && ln -sfn "$(CURDIR)" "$(VENV)/src/tll_index"  # mypy wants the package's name
	cd "$(VENV)/src" && ../bin/python -m mypy --config-file tll_index/setup.cfg --cache-dir ../mypy_cache \
	  tll_index/commands tll_index/core tll_index/engine tll_index/indexer tll_index/rendering \
	  tll_index/web tll_index/benchmarks tll_index/*.py

# autofaiss asks for numpy < 2, though it works with 2, as what we have of it does; so pip is kept
# from taking it at its word, and its light dependencies are named here.
$(PEERS): $(READY)
	$(PIP) --editable '.[dev,peers]'
	$(PIP) 'fire < 0.7' 'pandas < 3' pyarrow fsspec
	$(PIP) --no-deps autofaiss embedding-reader
	@touch "$@"

bench: $(PEERS)  ## speed and size, next to other tools: an hour; ARGS=--quick: minutes
	$(PY) -m benchmarks.speed $(ARGS)

bench-compare: $(READY)  ## the last `make bench` against the newest release, as ratios; ARGS=0.2.0: that one
	$(PY) -m benchmarks.compare $(ARGS)

bench-tll: $(READY)  ## the lens against simpler ways, hours on two cores; ARGS=--quick: minutes
	$(PY) -m benchmarks.lens $(ARGS)

bench-why: $(READY)  ## whether the regions that why shows matter: minutes; ARGS=--help lists choices
	$(PY) -m benchmarks.lens.why $(ARGS)

bench-collection: $(READY)  ## what dupes finds of made-up copies, and how pairs should rank: half an hour
	$(PY) -m benchmarks.lens.copies
	$(PY) -m benchmarks.lens.striking

bench-faces: $(READY)  ## what comparing faces is worth, by kind of pair: minutes; ARGS="--quality best" of the best
	$(PY) -m benchmarks.lens.faces $(ARGS)

bench-borders: $(READY)  ## whether bars beside a picture decide what is found; ARGS="--folds 5": top-2 as well
	$(PY) -m benchmarks.lens.borders $(ARGS)

judge: $(READY)  ## a page to judge two lenses by eye, blind; ARGS="A B", ARGS="--score results.json"
	$(PY) -m benchmarks.lens.judge $(ARGS)

bench-serve: $(READY)  ## 50 clients at once ask tll-index serve, beside as many threads in Python; ARGS=--quick
	$(PY) -m benchmarks.scale.serving $(ARGS)

bench-cluster: $(READY)  ## what a build on Ray costs: 5 minutes; ARGS="--pictures 500": fewer pictures
	$(PY) -m benchmarks.scale.cluster $(ARGS)

torture: $(READY)  ## kills, failing writes, damage, crowds, hostile files: 20 minutes; ARGS=--help lists choices
	$(PY) -m benchmarks.reliability $(ARGS)

study: $(READY)  ## every system of the paper, with whichever backbones are here; ARGS=--help lists choices
	$(PY) -m benchmarks.paper $(ARGS)

backbone: $(READY)  ## make the bundled networks from the published weights; ARGS=--check: are they those?
	$(PY) -m tll_index.engine.backbones.bundled.make $(ARGS)
	$(PY) -m tll_index.engine.backbones.bundled.faces.make $(ARGS)

LENSES := efficientnet_lite0_int8_faces efficientnet_lite0_int8 efficientnet_lite01_int8_faces efficientnet_lite01_int8
lens: $(READY)  ## train the four shipped lenses in 8 bits on TLL_ROOT (default ../shared/data/tll)
	@set -e; for name in $(LENSES); do \
	  $(TLL) train "$(or $(TLL_ROOT),../shared/data/tll)" --backbone $$name --folds 0 --out engine/lens/shipped/$$name.npz; done

docs: $(READY)  ## the documentation as a site: site/index.html
	@rm -rf "$(VENV)/package" && mkdir -p "$(VENV)/package/tll_index"  # and nothing but the package
	@for part in *.py commands core engine indexer rendering web; do \
	  ln -s "$(CURDIR)/$$part" "$(VENV)/package/tll_index"; done
	TLL_SOURCE="$(VENV)/package" NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet
	@echo "now open site/index.html"

tour: $(READY)  ## run the notebook examples/tour.ipynb and keep its outputs in it
	$(PY) examples/run_tour.py

# What setuptools noted of an older tree (*.egg-info) would get into the sdist. The wheel is made from
# the sdist, so that whoever has only that gets the same.
dist: $(READY)  ## build the sdist and the wheel of a release in dist/, try both in a fresh environment
	rm -rf dist build *.egg-info
	$(PY) -m build --no-isolation > /dev/null
	DIST="$(CURDIR)/dist" $(PY) -m pytest tests/repository/test_dist.py -m ""
	@ls dist

clean:  ## remove what these commands made (not your stores)
	rm -rf "$(VENV)" .venv-3.* $(RUN) lookalikes.html benchmarks/out build dist site htmlcov .coverage *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
