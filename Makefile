# aiter-prebuilt-gfx950.  `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RECIPE ?=
TP ?=
BLOCK_M ?=
COVERAGE ?=
LAUNCHER ?=
VERIFY ?=
BENCH ?=
IDENTITY ?=
TORCH ?=
TORCH_VENV ?= $(VENV)-torch
# clang (default), or amd: AMD's own passes and code generator behind Debian's clang.
CODEGEN ?=
ifneq ($(CODEGEN),)
export PREBUILD_CODEGEN := $(CODEGEN)
endif
# An AITER checkout or an installed one: the composable kernel that it pins is used.
AITER ?=
ifneq ($(AITER),)
export PREBUILD_AITER := $(AITER)
endif
comma := ,
RECIPES = $(subst $(comma), ,$(RECIPE))
NARROWED = $(if $(TP),--tp "$(TP)") $(if $(BLOCK_M),--block-m "$(BLOCK_M)") \
	$(if $(COVERAGE),--coverage "$(COVERAGE)")
# The same as settings of the PEP 517 backend, for cibuildwheel and reproduce.
CONFIG = $(foreach r,$(RECIPES),-C recipe=$(r)) $(if $(TP),-C tp=$(TP)) \
	$(if $(BLOCK_M),-C block-m=$(BLOCK_M)) $(if $(COVERAGE),-C coverage=$(COVERAGE)) \
	$(if $(LAUNCHER),-C launcher=$(LAUNCHER)) $(if $(VERIFY),-C verify=$(VERIFY))

# make takes any NAME=VALUE; one that nothing reads is a slip of the fingers.
VARIABLES := PYTHON VENV RECIPE TP BLOCK_M COVERAGE LAUNCHER VERIFY CODEGEN AITER IDENTITY BENCH TORCH TORCH_VENV \
	CONTAINER ALL SHARD PARTS TAG WHEEL ROCM_IMAGE WHEELHOUSE RELEASE_RECIPE SHELL
GIVEN := $(foreach v,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(v)))),$(v)))
UNKNOWN := $(filter-out $(VARIABLES) MAKE%,$(GIVEN))
ifneq ($(UNKNOWN),)
$(error unknown: $(UNKNOWN); make reads (in capitals) $(VARIABLES))
endif

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
	$(BIN)/python -m pip install --quiet --constraint packaging/constraints.txt \
		--editable packaging --editable . --group dev
	@touch $@

.PHONY: setup
setup: $(VENV)/.ready ## Make the Python environment

.PHONY: toolchain
toolchain: setup ## Install the gfx950 compiler (ROCm's own, or Debian's packages)
	$(BIN)/prebuild toolchain install

.PHONY: wheel
wheel: setup ## Build the wheel of RECIPE=NAME (TP=1,2 COVERAGE=full narrow or widen it)
	@$(BIN)/prebuild wheel $(RECIPES) $(ALL) $(NARROWED) $(if $(LAUNCHER),--launcher "$(LAUNCHER)") \
		$(if $(VERIFY),--verify "$(VERIFY)")

# An image of packaging/containers; the targets below then run in it, on a checkout of HEAD.
CONTAINER ?=
LOCAL_CONTAINER := localhost/aiter-prebuilt:debian
WHEELHOUSE := wheelhouse
PASSED = RECIPE="$(RECIPE)" TP="$(TP)" BLOCK_M="$(BLOCK_M)" COVERAGE="$(COVERAGE)" \
	CODEGEN="$(CODEGEN)" LAUNCHER="$(LAUNCHER)" VERIFY="$(VERIFY)"
INSIDE = $(BIN)/prebuild container run --image $(CONTAINER) -- make

# The production wheel holds whole modules, so that no shape makes its servers compile one of them.
# Where one recipe alone is asked for, cibuildwheel and reproduce keep to its own coverage.
wheels shard: COVERAGE := $(or $(COVERAGE),full)
cibuildwheel reproduce: COVERAGE := $(or $(COVERAGE),$(if $(RECIPE),,full))

.PHONY: wheels
wheels: setup ## Build the published wheel: all recipes (or RECIPE), whole modules
ifeq ($(CONTAINER),)
	$(MAKE) --no-print-directory wheel $(PASSED) ALL=$(if $(RECIPE),,--all)
else
	$(INSIDE) wheels $(PASSED)
endif

.PHONY: shard
shard: setup ## Compile part SHARD=I/N of what wheels builds into the object cache
	$(if $(CONTAINER),$(INSIDE) shard SHARD="$(SHARD)" $(PASSED),\
		$(BIN)/prebuild shard $(SHARD) $(RECIPES) $(NARROWED) $(if $(LAUNCHER),--launcher "$(LAUNCHER)"))

.PHONY: test
test: toolchain ## Run every test
	$(BIN)/python -m pytest

.PHONY: test-device
test-device: setup ## Run WHEEL (default: Kimi's, built now) on this machine's gfx950, real or emulated
	$(if $(WHEEL),DEVICE_WHEEL="$$(realpath "$(WHEEL)")" )$(BIN)/python -m pytest -m device tests/device

.PHONY: verify-kernels
verify-kernels: toolchain ## Run the kernels of WHEEL (default: dist/) on a CPU, compare
	@for wheel in $(if $(WHEEL),"$(WHEEL)",$(wildcard dist/*.whl)); do $(BIN)/prebuild verify-kernels "$$wheel" || exit; done

.PHONY: bench
bench: toolchain $(if $(TORCH),$(TORCH_VENV)/.ready) ## Compare with AITER's way; TORCH=1 with torch's headers (BENCH="--runs 3 --out F")
	$(if $(TORCH),$(BIN)/prebuild toolchain extra rocthrust)
	$(BIN)/prebuild bench $(if $(TORCH),--torch $(TORCH_VENV)) $(BENCH)
ifneq ($(TORCH),)
	$(BIN)/prebuild build kimi-k2.5-mxfp4
	$(BIN)/python -m benchmarks.call --torch $(TORCH_VENV) module="$$(ls -t build/modules/*_fp4x2_fp4x2_preshuffle_on_*.so | head -n 1)"
endif

.PHONY: identity
identity: toolchain $(TORCH_VENV)/.ready ## Compare our kernels' machine code with AITER's (AITER=its checkout, RECIPE)
	$(BIN)/prebuild toolchain extra rocthrust
	$(BIN)/prebuild identity "$(AITER)" $(RECIPES) --torch $(TORCH_VENV) $(if $(TP),--tp "$(TP)") \
		$(if $(COVERAGE),--coverage "$(COVERAGE)") $(IDENTITY)

# An environment of its own: the project's own never imports torch, and 1 GB is for this alone.
$(TORCH_VENV)/.ready: pyproject.toml | $(VENV)/.ready
	$(PYTHON) -m venv $(TORCH_VENV)
	$(TORCH_VENV)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(TORCH_VENV)/bin/python -m pip install --quiet --group torch
	@touch $@

.PHONY: lint
lint: setup ## Check style, types, containers and workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	git ls-files 'csrc/*.?pp' 'packaging/*.c' | xargs $(BIN)/clang-format --dry-run --Werror
	$(BIN)/hadolint --ignore DL3059 --no-color packaging/containers/Containerfile.*
	$(BIN)/shellcheck packaging/containers/*.sh
	$(BIN)/actionlint -shellcheck $(BIN)/shellcheck
	$(BIN)/zizmor --offline --no-progress --quiet .github/workflows

.PHONY: join
join: setup ## Join the shards' parts below PARTS=FOLDER in this machine's cache
	$(BIN)/prebuild join "$(PARTS)"

# ---- Releases: docs/release.md ----

.PHONY: release-tools
release-tools: ## Install podman and mmdebstrap from Debian's packages (as root)
	@[ "$$(id -u)" = 0 ] || { echo "as root: apt-get install podman runc mmdebstrap"; exit 2; }
	apt-get update -q && apt-get install -q -y --no-install-recommends podman runc mmdebstrap

.PHONY: container
container: setup ## Build the local container from Debian's packages
	$(BIN)/prebuild container build

.PHONY: container-rocm
container-rocm: setup ## Build the release container on ROCM_IMAGE, an image of AMD's
	$(BIN)/prebuild container rocm "$(ROCM_IMAGE)"

.PHONY: room
room: setup ## See that a ROCm image fits on the disk; make room on a hosted runner
	$(BIN)/prebuild room

.PHONY: pin
pin: setup ## Pin the newest AITER's composable kernel for releases (AITER=its repository)
	$(BIN)/prebuild pin "$(AITER)"

.PHONY: matrix
matrix: setup ## Print the wheel workflow's jobs, a line a stage
	@for stage in compile wheel prove; do \
		echo "$$stage=$$($(BIN)/prebuild matrix --json --only $$stage)"; done

.PHONY: cibuildwheel
cibuildwheel: setup ## Build, repair and test the wheel of HEAD with cibuildwheel
	$(BIN)/prebuild container cibuildwheel --image $(or $(CONTAINER),$(LOCAL_CONTAINER)) \
		--out $(WHEELHOUSE) $(CONFIG)

.PHONY: judge
judge: setup ## Judge the wheels in wheelhouse/: symbols, bytes, SBOM, abi3, size
	$(if $(CONTAINER),$(INSIDE) judge,$(BIN)/prebuild judge $(WHEELHOUSE)/*.whl)

.PHONY: smoke
smoke: setup ## Install the wheels in wheelhouse/ in several CPythons, load them
	$(if $(CONTAINER),$(INSIDE) smoke,$(BIN)/prebuild smoke $(WHEELHOUSE)/*.whl)

.PHONY: reproduce
reproduce: setup ## Build HEAD's wheel here and in the container, compare bytes
	$(BIN)/prebuild reproduce $(CONFIG)

.PHONY: sums
sums: setup ## Write wheelhouse/SHA256SUMS
	$(BIN)/prebuild sums $(WHEELHOUSE)/*.whl

.PHONY: release-version
release-version: setup ## Check that TAG, pyproject.toml and CHANGELOG.md name one version
	$(BIN)/prebuild release-version $(TAG)

.PHONY: release-page
release-page: setup ## Make the page of TAG, with wheelhouse/ and its sums (needs gh and a token)
	$(BIN)/prebuild release-notes > $(WHEELHOUSE)/notes.md
	gh release create "$(TAG)" --verify-tag --notes-file $(WHEELHOUSE)/notes.md \
		$(WHEELHOUSE)/*.whl $(WHEELHOUSE)/SHA256SUMS

# All that a release does and that needs no account, with the Kimi recipe.
RELEASE_RECIPE := kimi-k2.5-mxfp4
RELEASE_STEPS := lint release-version matrix container cibuildwheel judge smoke reproduce sums

.PHONY: release-check
release-check: setup ## Run the whole release here, with the Kimi recipe, in the local container
	rm -rf $(WHEELHOUSE)
	@began=$$SECONDS; for step in $(RELEASE_STEPS); do \
		echo "=== $$step ($$((SECONDS - began)) s)"; \
		$(MAKE) --no-print-directory $$step RECIPE=$(RELEASE_RECIPE) TAG= CONTAINER= || \
			{ echo "=== release-check failed at: $$step"; exit 1; }; \
	done; echo "=== release-check is done, $$((SECONDS - began)) s"

.PHONY: clean
clean: setup ## Remove build/ and dist/
	$(BIN)/prebuild clean
	rm -rf dist
