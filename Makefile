# Everything a newcomer types. `make help` lists it.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check env lock clean
PYTHON ?= python3
DATA ?= synthetic
BIN := .venv/bin

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-8s %s\n", $$1, $$2}'

setup: .venv/ready ## make .venv with everything in it

.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: set PYTHON=..." >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "the venv module is missing: apt install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	@echo 'installing into .venv: about 6 GB, some minutes'
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: .venv/ready ## pretrain, finetune and compare on synthetic lesions (or make demo DATA=DIR)
	$(BIN)/derm-ml demo --data "$(DATA)"

test: .venv/ready ## every test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope

check: .venv/ready ## format, lint, strict types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy derm_ml entrypoints

env: ## write .env for docker compose, with random passwords (an existing one is left alone)
	@$(PYTHON) -m derm_ml.service.environment

lock: .venv/ready ## write docker/constraints.txt, the package versions of both images, from .venv
	$(BIN)/python -m pip freeze --all --exclude-editable | grep -E '^[A-Za-z0-9_.-]+==' | grep -v '^pip==' > docker/constraints.txt

clean: ## remove .venv and tool caches, no runs and no data
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache *.egg-info
