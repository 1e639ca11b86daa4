# Two commands: make run, make test. Targets rebuild what changed; nothing is done twice.

PYTHON ?= python3
ENGINE ?=
PORT ?=
BENCH ?= all
# Files side by side, the tests of one file in one process, in the order of tests/conftest.py.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
TORCH := torch==2.13.0
STATIC := bridge/static
KERNEL := bridge/engines/musicgen/kernel
WEB_SOURCES := $(shell find web_client -path web_client/node_modules -prune -o -type f -print 2>/dev/null)
SERVE := $(BIN)/sample-bridge serve $(if $(ENGINE),--engine $(ENGINE)) $(if $(PORT),--port $(PORT)) $(ARGS)

# Python and Node set themselves up side by side.
MAKEFLAGS += --jobs=2 --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help run dev install build test test-fast test-extras check bench reliability chromium clean legal

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /	/' | expand -t 14

run: build $(if $(filter musicgen,$(ENGINE)),$(VENV)/.torch) ## set everything up and start the server: ENGINE=musicgen PORT=5001
	@$(SERVE)

dev: $(VENV)/.dev web_client/node_modules/.stamp ## server and page that reload when a source changes, page on port 5173
	@trap 'kill 0' EXIT; $(BIN)/watchfiles --filter python "$(SERVE)" bridge prompts cache & npm --prefix web_client run dev

install: $(VENV)/.run ## set the command sample-bridge up in .venv

build: legal ## build the page, its notices and the source archive

test: $(VENV)/.dev $(VENV)/.torch build chromium ## everything: Python, page, browser, models
	npm --prefix web_client test
	$(BIN)/python -P -m pytest $(PARALLEL)

test-fast: $(VENV)/.dev web_client/node_modules/.stamp ## without torch and browser
	npm --prefix web_client test
	$(BIN)/python -P -m pytest $(PARALLEL) -m "not torch and not browser and not reliability and not extra"

test-extras: $(VENV)/.extras ## what make test skips: the extras diffusion, c2pa and storage
	$(BIN)/python -P -m pytest $(PARALLEL) -m extra

check: $(VENV)/.dev web_client/node_modules/.stamp ## linters, types, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/clang-format --dry-run --Werror $(wildcard $(KERNEL)/source/*.cpp $(KERNEL)/source/*.h $(KERNEL)/codec/*.cpp $(KERNEL)/codec/*.h)
	@printf '%s\n' $(wildcard $(KERNEL)/source/[!k]*.cpp $(KERNEL)/source/kernels_portable.cpp $(KERNEL)/codec/*.cpp) | xargs -P 2 -I {} $(BIN)/clang-tidy --quiet {} -- -std=c++17 -O1 -pthread
	npm --prefix web_client run check

bench: $(VENV)/.dev $(if $(filter musicgen all,$(BENCH)),$(VENV)/.torch) build chromium ## figures of speed and size: BENCH=name ARGS=--docs
	$(BIN)/python -P -m tests.benchmarks $(BENCH) $(ARGS)

reliability: $(VENV)/.dev build chromium ## kills, disconnects and floods, in full number
	RELIABILITY=full $(BIN)/python -P -m pytest -m reliability --timeout=1800

clean: ## remove what make made
	rm -rf $(VENV) web_client/node_modules $(STATIC)/* var .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# ---------------------------------------------------------------- Python

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { echo "make: python3 is missing. Sample Bridge needs Python 3.11 or newer (Debian: apt install python3 python3-venv)." >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: Sample Bridge needs Python 3.11 or newer, this is $$($(PYTHON) --version). Use make PYTHON=python3.12, say." >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "make: no virtual environment can be made (Debian: apt install python3-venv)." >&2; exit 2; }
	@touch $@

$(VENV)/.run: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

# A wheel that pip finds on this machine comes first, then PyTorch's CPU index, then what the registry has.
$(VENV)/.torch: $(VENV)/.run
	$(PIP) install --no-index --no-deps $(TORCH) 2>/dev/null || $(PIP) install --no-deps --timeout 10 --retries 1 --index-url https://download.pytorch.org/whl/cpu $(TORCH) 2>/dev/null || true
	$(PIP) install -c constraints.txt $(TORCH) -e '.[musicgen]'
	@touch $@

$(VENV)/.extras: $(VENV)/.dev $(VENV)/.torch
	$(PIP) install -c constraints.txt $(TORCH) -e '.[diffusion,c2pa,storage]'
	@touch $@

# pip is not made for two installations into one place at a time.
$(VENV)/.torch: | $(if $(filter test check bench test-extras,$(MAKECMDGOALS)),$(VENV)/.dev)

# ---------------------------------------------------------------- the page

web_client/node_modules/.stamp: web_client/package-lock.json
	@command -v node >/dev/null || { echo "make: node is missing. Sample Bridge needs Node 20.19 or newer for its page (https://nodejs.org)." >&2; exit 2; }
	@node -e 'const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' || { echo "make: Sample Bridge needs Node 20.19 or newer for its page, this is $$(node --version) (https://nodejs.org)." >&2; exit 2; }
	npm --prefix web_client ci --no-audit --no-fund --loglevel=error
	@touch $@

$(STATIC)/index.html: web_client/node_modules/.stamp $(WEB_SOURCES)
	npm --prefix web_client run build --silent -- --logLevel error
	@touch $@

# Section 13 of the licence: the page offers the source of this very version, also without the internet.
legal: $(VENV)/.run $(STATIC)/index.html
	@cp LICENSE $(STATIC)/LICENSE.txt
	@$(BIN)/python -P .ci/notices.py > $(STATIC)/notices.txt
	@if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then git ls-files -z; else find . -type f -not -path './.venv/*' -not -path '*/node_modules/*' -not -path './bridge/static/*' -print0; fi \
		| tar --null --ignore-failed-read -czf $(STATIC)/source.tar.gz -T - 2>/dev/null || true

# ---------------------------------------------------------------- what tests need

chromium:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; \
	elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then sudo -n apt-get update -qq && sudo -n apt-get install -y -qq --no-install-recommends chromium; \
	else echo "make: the browser tests need Chromium. Install it (Debian, Ubuntu: sudo apt install chromium; Fedora: sudo dnf install chromium; macOS: brew install --cask chromium), or run make test-fast." >&2; exit 2; fi
