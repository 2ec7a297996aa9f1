# aiter-prebuilt-gfx950.  `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RECIPE ?=
TP ?=
BLOCK_M ?=
COVERAGE ?=
LAUNCHER ?=
comma := ,
CONFIG := $(foreach r,$(subst $(comma), ,$(RECIPE)),-C recipe=$(r)) $(if $(TP),-C tp=$(TP)) \
	$(if $(BLOCK_M),-C block-m=$(BLOCK_M)) $(if $(COVERAGE),-C coverage=$(COVERAGE)) \
	$(if $(LAUNCHER),-C launcher=$(LAUNCHER))

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# One environment for everything; made again when a list of requirements changes.
$(VENV)/.ready: pyproject.toml packaging/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1); set PYTHON=..."; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) has no venv module; on Debian: apt-get install python3-venv"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable packaging --editable . --group dev
	@touch $@

.PHONY: setup
setup: $(VENV)/.ready ## Make the Python environment

.PHONY: toolchain
toolchain: setup ## Install the gfx950 compiler (ROCm's own, or Debian's packages)
	$(BIN)/prebuild toolchain install

.PHONY: wheel
wheel: toolchain ## Build the wheel of RECIPE=NAME (TP=1,2 COVERAGE=full narrow or widen it)
	$(BIN)/python -m build --wheel --no-isolation --outdir dist $(CONFIG)

.PHONY: wheels
wheels: ## Build the production wheel: every recipe
	$(MAKE) wheel RECIPE=

.PHONY: test
test: toolchain ## Run every test
	$(BIN)/python -m pytest

.PHONY: lint
lint: setup ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: clean
clean: setup ## Remove build/ and dist/
	$(BIN)/prebuild clean
	rm -rf dist
