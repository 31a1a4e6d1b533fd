# srt-web. `make` lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=
TEST_WORKERS = -n 2 --dist loadscope --no-loadscope-reorder
IMPORT_ARGS ?=
REVIEW_ARGS ?=

export HF_HUB_OFFLINE = 1
export DJANGO_SETTINGS_MODULE = srt_web.settings
# Compiled once: a demo starts six processes of the same code, the tests some hundred.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo up test chaos lint format messages docs lock licences audit bench bench-scaling

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(STAMP) ## make .venv and install everything into it

$(STAMP): pyproject.toml requirements/everything.lock requirements/torch.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "srt-web needs Python 3.11 or newer: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (PyTorch included, this takes a minute or more) ..."
	@$(BIN)/python -m pip install -qq --no-deps --require-hashes -r requirements/everything.lock
	@$(BIN)/python -m pip install -qq -r requirements/torch.txt
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@$(BIN)/python manage.py prepare_model
	@touch $@

demo: $(STAMP) ## refine 24 bundled pairs, then show them in the browser (ARGS=--exit: stop after the export)
	@$(BIN)/python manage.py demo $(ARGS)

up: $(STAMP) ## start everything embedded: web, workers, broker, teacher
	@$(BIN)/python manage.py up $(ARGS)

# tests/chaos kills everything on PostgreSQL, in the first half; traces are the same on both.
test: $(STAMP) ## run every test on SQLite, then those that meet the database on PostgreSQL
	$(BIN)/python -m pytest $(TEST_WORKERS) $(ARGS)
	SRT_TEST_DATABASE=postgres $(BIN)/python -m pytest $(TEST_WORKERS) $(ARGS) \
	  tests/services tests/selectors tests/pipeline \
	  -p no:schemathesis --ignore tests/pipeline/test_kills.py --ignore tests/pipeline/test_tracing.py

chaos: $(STAMP) ## break everything 50 times while 500 samples are refined (ARGS="--seed 2": other blows)
	$(BIN)/python -m tests.chaos.storm $(ARGS)

lint: $(STAMP) ## ruff, mypy, import rules, templates, migrations, scripts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	git ls-files -z 'templates/*.html' | xargs -0 -r $(BIN)/djade --target-version 5.2 --check
	$(BIN)/python manage.py makemigrations --check --dry-run
	@command -v node >/dev/null && for file in static/js/*.js; do node --check $$file || exit 1; done || true

format: $(STAMP) ## let ruff and djade lay out the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	git ls-files -z 'templates/*.html' | xargs -0 -r $(BIN)/djade --target-version 5.2

messages: $(STAMP) ## collect the texts for translation and compile them (needs GNU gettext)
	$(BIN)/python manage.py makemessages --all --no-wrap --no-location --ignore .venv --ignore var --ignore tests
	$(BIN)/python manage.py compilemessages --ignore .venv --ignore var

docs: $(STAMP) ## build the documentation as a site in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lock: $(STAMP) ## write requirements/*.lock anew from pyproject.toml (ARGS=--upgrade: newest versions)
	@$(BIN)/python -c 'import uv' 2>/dev/null || $(BIN)/python -m pip install -qq uv
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python requirements/lock.py $(ARGS)

licences: $(STAMP) ## write docs/licences.md from what is installed
	$(BIN)/python requirements/licences.py

audit: $(STAMP) ## known vulnerabilities of the locked versions (needs the network)
	@$(BIN)/python requirements/audit.py $(ARGS)

bench: $(STAMP) ## measure, as ratios against plain baselines (IMPORT_ARGS="--rows 1000000", REVIEW_ARGS="--samples 1000000": more rows)
	@$(BIN)/python -c 'import lm_eval' 2>/dev/null \
	  || $(BIN)/python -m pip install -qq --no-deps --require-hashes --no-build-isolation -r requirements/bench.lock
	$(BIN)/python benchmarks/score.py $(ARGS)
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/teacher.py $(TEACHER_ARGS)
	$(BIN)/python benchmarks/import_rows.py $(IMPORT_ARGS)
	$(BIN)/python benchmarks/export_rows.py $(IMPORT_ARGS)
	$(BIN)/python benchmarks/whatif.py
	$(BIN)/python benchmarks/review.py $(REVIEW_ARGS)
	$(BIN)/python benchmarks/review_keys.py $(REVIEW_ARGS)
	$(BIN)/python benchmarks/review_session.py $(REVIEW_ARGS)
	$(BIN)/python benchmarks/deciding.py

bench-scaling: $(STAMP) ## 1, 2, 4, 8 student processes: efficiency, and where the coordinator saturates
	$(BIN)/python benchmarks/scaling.py $(ARGS)
