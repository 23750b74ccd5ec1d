# All it takes is Python 3.11 or later, pip, make and a package index: each target makes what it needs in .venv.
# Another interpreter: make demo PYTHON=/path/to/python3.12

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
PARTS := $(wildcard core/pyproject.toml testkit/pyproject.toml vault-botocore/pyproject.toml plugins/*/pyproject.toml)
EXAMPLES := $(wildcard examples/*/pyproject.toml)
TYPED := core/src core/tests testkit vault-botocore $(wildcard plugins/*/src plugins/*/tests examples/*/src examples/*/tests) \
	tests demo benchmarks scripts awsv conftest.py

# Modules of somebody's working folder have no place in what is tested. Bytecode is written at the first import (pip
# makes none, for most of it is never imported), and not made anew by each of the thousands of processes.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

.PHONY: help check coverage test-one demo test test-here test-others test-root test-deep contracts lint format bench build docs freeze-api clean

help:
	@echo 'make check   before each commit, in under a minute: format, lint, types, unit tests'
	@echo 'make test-one T=tests/cli/test_copy.py::test_x   one test, one file, or what pytest -k would take: T="-k anchor"'
	@echo 'make coverage  the tests again, with branch coverage of each distribution against its floor'
	@echo 'make demo    a day with awsv: a simulated AWS, the real AWS CLI, a temporary home'
	@echo 'make test    lint, all tests, and those that matter on the other installed Pythons, with coverage'
	@echo 'make test-deep  all tests of the encrypted store, the clusters and the contracts, in full: an hour or more'
	@echo 'make contracts  the contract of storage backends on every backend: which part passes, and what it costs'
	@echo 'make lint    ruff, the import contracts and mypy'
	@echo 'make format  let ruff rewrite the sources'
	@echo 'make bench   how long commands and the store take, against "python -c pass" (N=rounds);'
	@echo '             BASE=COMMIT: that commit as well, in turns; AWS_VAULT=PATH: aws-vault as well'
	@echo 'make build   wheels of every distribution, in dist/'
	@echo 'make docs    docs/plugins/reference.md, from the docstrings'
	@echo 'make freeze-api  tests/api.txt and vlt_api.txt: what plugins may rely on, as it is now (read the difference)'
	@echo 'make clean   remove what the other targets made'

$(VENV)/.installed .venv-3.11/.installed .venv-3.12/.installed .venv-3.13/.installed: \
		constraints.txt tests/requirements.txt scripts/environment $(wildcard awsv/*.* awsv/scripts/*) plugins/aws-vault/scripts/aws-vault $(PARTS) $(EXAMPLES)
	@scripts/environment $(@D) $(PYTHON)

check: lint
	@scripts/run-tests $(VENV) -m unit --quiet --no-header

coverage: $(VENV)/.installed
	@scripts/coverage $(VENV) "" $(T)

test-one: $(VENV)/.installed
	@scripts/run-tests $(VENV) --numprocesses 0 $(T)

demo: $(VENV)/.installed
	@$(BIN)/python demo/scenario.py

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
	@AWSV_DEEP=1 scripts/run-tests $(VENV) -m "deep and not security" --dist worksteal

contracts: $(VENV)/.installed
	@$(BIN)/python scripts/contracts.py --numprocesses 2

lint: $(VENV)/.installed
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy $(TYPED)

format: $(VENV)/.installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

N ?= 20
bench: $(VENV)/.installed
	@$(BIN)/python benchmarks/commands.py --rounds $(N) $(if $(AWS_VAULT),--aws-vault $(AWS_VAULT)) \
		$(if $(BASE),--base $(BASE),--write docs/performance.md)
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
