# Everything a developer types. `make demo` and `make test` set up all they need on a fresh machine.

PYTHON ?= python3
VENV   ?= .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
DEMO = tests/data/diagram.png
NANO ?= $(abspath build/nano)
TRAIN = python3 -m torch.distributed.run --standalone --nproc-per-node gpu -m recipe.train \
	--assets $(NANO)/assets

.PHONY: help setup demo test lint bench screenshot nano nano-eval clean

help:  ## show this list
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  ##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@echo "Installing. The first time, llama.cpp is compiled for this machine: about six minutes."
	$(BIN)/python -m pip install --quiet --editable . --group dev
	$(BIN)/python -m compileall -q qvq_cli  # where Python may not write it, every start would
	@touch $@

setup: $(VENV)/ready  ## make the virtual environment (compiles llama.cpp once)

demo: setup  ## solve h'(2) from a picture of a table
	$(BIN)/qvq solve $(DEMO) "find h'(2)"

test: setup  ## run the tests
	$(BIN)/python -m pytest

lint: setup  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup  ## compare with llama.cpp's own tools (compiles them once)
	$(BIN)/python tests/benchmarks/bench.py

screenshot: setup  ## draw tests/data/session.svg again from a real session
	$(BIN)/python tests/make_screenshot.py tests/data/session.svg --columns 96 \
		--shown "qvq solve diagram.png \"find h'(2)\"" -- $(BIN)/qvq solve $(DEMO) "find h'(2)"

nano:  ## train nano from nothing (Debian with CUDA GPUs and the dependency group nano)
	cd models/nano && python3 -m recipe.assets $(NANO)/assets
	cd models/nano && $(TRAIN) --out $(NANO)/run1 --seconds 505 --decay 0.3 --floor 0.12
	cd models/nano && $(TRAIN) --out $(NANO)/run2 --resume $(NANO)/run1 --seed 2 --seconds 490 \
		--n-tokens 12000 --n-asks 4 --decay 0.3 --floor 0.12 --easy 0.12 0.05 --label-weight 0.2
	cd models/nano && $(TRAIN) --out $(NANO)/run3 --resume $(NANO)/run2 --seed 3 --seconds 500 \
		--n-tokens 18000 --n-asks 4 --muon-rate 0.016 --adam-rate 0.0016 --decay 0.85 \
		--easy 0.05 0.03 --label-weight 0.15
	cd models/nano && $(TRAIN) --out $(NANO)/run4 --resume $(NANO)/run3 --seed 4 --seconds 150 \
		--n-asks 4 --muon-rate 0.009 --adam-rate 0.0009 --decay 0.85 --easy 0.03 0.02 \
		--label-weight 0.1
	cd models/nano && $(TRAIN) --out $(NANO)/run5 --resume $(NANO)/run4 --seed 5 --seconds 386 \
		--n-asks 4 --trial 0 --muon-rate 0.014 --adam-rate 0.0014 --decay 1 --floor 0.62 \
		--easy 0.08 0.04 --label-weight 0.2
	cd models/nano && $(TRAIN) --out $(NANO)/run6 --resume $(NANO)/run5 --seed 6 --seconds 460 \
		--n-asks 4 --muon-rate 0.0092 --adam-rate 0.00092 --decay 1 --easy 0.03 0.02 \
		--label-weight 0.12
	cd models/nano && $(TRAIN) --out $(NANO)/run7 --resume $(NANO)/run6 --seed 7 --seconds 500 \
		--n-asks 4 --trial 0 --muon-rate 0.01 --adam-rate 0.001 --decay 1 --easy 0.03 0.02 \
		--label-weight 0.12
	cd models/nano && $(TRAIN) --out $(NANO)/run8 --resume $(NANO)/run7 --seed 8 --seconds 485 \
		--n-asks 4 --trial 0 --muon-rate 0.01 --adam-rate 0.001 --decay 1 --easy 0.03 0.02 \
		--label-weight 0.12
	cd models/nano && python3 -m recipe.export $(NANO)/run8 $(NANO)/gguf

nano-eval:  ## the tables of nano's model card
	cd models/nano && PYTHONPATH=.:../.. python3 -m recipe.evalsets --assets $(NANO)/assets \
		--out $(NANO)/sets
	cd models/nano && PYTHONPATH=.:../.. python3 -m recipe.evaluate . $(NANO)/sets

clean:  ## remove what was built
	rm -rf $(VENV) build dist .bench .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
