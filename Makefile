# Everything a fresh machine needs: Python 3.10-3.13 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-all check bench soak fuzz clean

# The main job, in the sandbox: validate, plan, send, and see who got what. Nothing reaches a phone.
demo: $(VENV)/.installed
	$(BIN)/runner validate campaigns
	$(BIN)/runner plan campaigns/lebaran_promo.yml --sandbox
	$(BIN)/runner apply --sandbox
	$(BIN)/runner status --sandbox

# All tests and checks.
# Many tests wait for processes of their own, so that there is work for one more than there are cores.
WORKERS = $(shell $(BIN)/python -c 'import os; print(os.cpu_count() + 1)')
test: check
	$(BIN)/pytest -n $(WORKERS) --dist worksteal --cov --cov-report=
	$(BIN)/coverage report

# All tests and checks on every Python found among those supported, each in an environment of its own.
test-all:
	@for version in 3.10 3.11 3.12 3.13; do \
	    for python in python$$version $$HOME/.pyenv/versions/$$version.*/bin/python; do \
	        $$python -c '' 2>/dev/null || continue; \
	        echo "== Python $$version: $$python"; \
	        $(MAKE) --no-print-directory test PYTHON=$$python VENV=.venv/$$version || exit 1; \
	        break; \
	    done; \
	done

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/check-jsonschema --check-metaschema schema/*.json

# The proof of docs/reliability.md, for longer: simulated worlds, a large campaign, and real kills.
SEEDS := 100000
KILLS := 200
soak: $(VENV)/.installed
	$(BIN)/python -m tests.simulation 2000 --seeds $(SEEDS) --jobs 2
	$(BIN)/python -m tests.simulation 7 --people 100000
	RUNNER_TEST_KILLS=$(KILLS) RUNNER_TEST_FREEZE=30 $(BIN)/pytest -n auto tests/crash

# What strangers may send, 1,000,000 inputs in all: only a clear refusal may come of it. `make test` runs some.
INPUTS ?= 1000000
SEED ?= 1
fuzz: $(VENV)/.installed
	$(BIN)/python -m tests.fuzz all --inputs $(INPUTS) --seed $(SEED)

# The figures of docs/performance.md.
bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .runner .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
