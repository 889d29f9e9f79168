# Everything here starts from a bare checkout: bootstrap.py sets up what a target needs, once.
PYTHON ?= python3
BIN := .venv/bin
# Programs that were unpacked because they could not be installed are found there.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# A file's tests stay on one worker, which starts its Asterisk, database or browser once. The files'
# order is that of tests/conftest.py: long ones first, not those with many tests.
WORKERS ?= 2

.PHONY: help demo test check lint bench pictures format clean
.DEFAULT_GOAL := help

help: ## Say what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' Makefile

demo: ## Set up all that is needed and run the whole of Deskbell here, with sample data
	@$(PYTHON) bootstrap.py demo
	@$(BIN)/deskbell demo

test: ## Set up, lint and run every test on the real parts
	@$(PYTHON) bootstrap.py test
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS) || { \
	  echo "What failed runs once more, alone: a test that passes only now leans on an idle machine,"; \
	  echo "and is to be mended; its name stands above."; \
	  $(BIN)/python -m pytest --last-failed --last-failed-no-failures none $(PYTEST_ARGS); }

check: ## Format, lint, strict types, import layers, unit tests: under a minute
	@$(PYTHON) bootstrap.py check
	@$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -m unit -n $(WORKERS) $(PYTEST_ARGS)

lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: ## Measure, and write docs/performance.md
	@$(PYTHON) bootstrap.py test
	$(BIN)/python -m bench $(BENCH_ARGS)

pictures: ## Take the README's picture from a real call at the demo's desk
	@$(PYTHON) bootstrap.py test
	PICTURES=docs/pictures $(BIN)/python -m pytest -n 0 -q tests/desk/test_newcomer.py

format: ## Put the code into its form
	@$(PYTHON) bootstrap.py check
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove all that was set up or made here (the demo's data too)
	rm -rf .venv node_modules build var *.egg-info agent_desk/static/vendor
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
