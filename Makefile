# Needs Python 3.11 or newer, and make. `make` alone tells what there is.
PYTHON ?= python3
BIN := .venv/bin
export HOST PORT WORKERS

NO_PYTHON = "workgraph: there is no $(PYTHON): install Python 3.11 or newer, or name one (make PYTHON=/path/to/it)."
SET_UP = @command -v "$(PYTHON)" >/dev/null || { echo $(NO_PYTHON) >&2; exit 2; }; "$(PYTHON)" -I project/environment.py

help: ## tell what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-7s %s\n", $$1, $$2}' Makefile

run: ## set everything up and serve on PORT (8000) of HOST (127.0.0.1) with WORKERS processes
	$(SET_UP) local
	@$(BIN)/python ide/build.py && exec $(BIN)/python -m project.serve

dev: ## the same with DEBUG, starting again when the code changes
	$(SET_UP) local
	@$(BIN)/python ide/build.py && DEBUG=1 exec $(BIN)/python -m project.serve --reload

test: ## run all tests, or those in ARGS
	$(SET_UP) test
	@$(BIN)/python ide/build.py && $(BIN)/python -m pytest -n auto --maxprocesses 8 $(ARGS)

lint: ## ruff, mypy, import-linter, and whether migrations are missing
	$(SET_UP) dev
	@$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy && $(BIN)/lint-imports
	@$(BIN)/python manage.py makemigrations --check --dry-run

bench: ## run the benchmarks, which report ratios
	$(SET_UP) test
	@set -e; for script in bench/[a-z]*.py; do $(BIN)/python -m "bench.$$(basename "$$script" .py)" $(ARGS); done

sdl: ## write the published schema, schema/schema.graphql
	$(SET_UP) local
	@$(BIN)/python manage.py export_schema schema.root --path schema/schema.graphql

explain: ## tell how an operation is answered: ARGS="query.graphql --user you@example.com"
	$(SET_UP) local
	@$(BIN)/python manage.py explain_operation $(ARGS)

docs: ## build the documentation site into build/docs; a broken link or a page that is not in the navigation fails
	$(SET_UP) docs
	@$(BIN)/python -m sphinx -W --keep-going -q -j auto -d build/doctrees -c docs/site docs build/docs

stop: ## stop the embedded servers
	@test ! -x $(BIN)/python || $(BIN)/python -m project.embedded stop

.PHONY: help run dev test lint bench sdl explain docs stop
