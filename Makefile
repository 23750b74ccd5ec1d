# All it takes is Python 3.11 or later, pip, make and a package index: each target makes what it needs in .venv.
# Another interpreter: make demo PYTHON=/path/to/python3.12

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
PARTS := $(wildcard core/pyproject.toml testkit/pyproject.toml plugins/*/pyproject.toml)
EXAMPLES := $(wildcard examples/*/pyproject.toml)
SOURCES := core/src testkit/src $(wildcard plugins/*/src) $(wildcard examples/*/src)

# Modules of somebody's working folder have no place in what is tested. Bytecode is written at the first import (pip
# makes none, for most of it is never imported), and not made anew by each of the thousands of processes.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-here test-others test-root test-deep contracts lint format bench build docs freeze-api clean

help:
	@echo 'make demo    a day with awsv: a pretended AWS, the real AWS CLI, an own temporary home'
	@echo 'make test    lint, all tests, and the most on every other installed Python 3.11, 3.12, 3.13'
	@echo 'make test-deep  all that is promised of the encrypted store, the clusters and the contracts, whole: an hour and more'
	@echo 'make contracts  the contract of storage backends on every backend: which part passes, and what it costs'
	@echo 'make lint    ruff, the import contracts and mypy'
	@echo 'make format  let ruff rewrite the sources'
	@echo 'make bench   how long commands and the store take, against "python -c pass" (N=rounds)'
	@echo 'make build   wheels of every distribution, in dist/'
	@echo 'make docs    docs/plugins/reference.md, from the docstrings'
	@echo 'make freeze-api  tests/api.txt and vlt_api.txt: what plugins may rely on, as it is now (read the difference)'
	@echo 'make clean   remove what the other targets made'

$(VENV)/.installed .venv-3.11/.installed .venv-3.12/.installed .venv-3.13/.installed: \
		constraints.txt tests/requirements.txt scripts/environment $(wildcard awsv/*.* awsv/scripts/*) plugins/aws-vault/scripts/aws-vault $(PARTS) $(EXAMPLES)
	@scripts/environment $(@D) $(PYTHON)

demo: $(VENV)/.installed
	@$(BIN)/python demo/day.py

test: lint test-here test-others

test-here: $(VENV)/.installed
	@scripts/run-tests $(VENV)

test-others: $(VENV)/.installed
	@scripts/test-others $(VENV)

# All that is left for root where an ordinary user has run "make test".
test-root: $(VENV)/.installed
	@scripts/run-tests $(VENV) -m root

test-deep: $(VENV)/.installed
	@AWSV_DEEP=1 scripts/run-tests $(VENV) -m security --dist worksteal
	@AWSV_DEEP=1 scripts/run-tests $(VENV) -m "not security" --dist worksteal \
		$$(grep -rlE 'AWSV_DEEP|import .*sample' --include='test_*.py' tests plugins examples core/tests)

contracts: $(VENV)/.installed
	@$(BIN)/python scripts/contracts.py --numprocesses 2

lint: $(VENV)/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo --no-cache
	MYPYPATH=demo:benchmarks $(BIN)/mypy $(SOURCES) demo benchmarks scripts

format: $(VENV)/.installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

N ?= 20
bench: $(VENV)/.installed
	@PYTHONPATH=demo $(BIN)/python benchmarks/commands.py --rounds $(N)
	@$(BIN)/python benchmarks/store.py --rounds $(N)

# awsv from a copy of its folder: beside the others it would require them by their paths (awsv/hatch_build.py).
build: $(VENV)/.installed
	@rm -rf dist
	@set -e; alone=$$(mktemp -d); trap 'rm -r "$$alone"' EXIT; cp -R awsv "$$alone"; \
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist \
		$(dir $(PARTS:%=./%)) "$$alone/awsv"
	@ls dist

docs: $(VENV)/.installed
	@cd tests && ../$(BIN)/python -m support.public_api reference

freeze-api: $(VENV)/.installed
	@cd tests && ../$(BIN)/python -m support.public_api frozen
	@git --no-pager diff --stat -- tests/api.txt tests/vlt_api.txt

clean:
	rm -rf .venv .venv-* .cache dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
