# Everything needs only Python 3.11 or later and make. Each target sets up .venv if needed.

MEDIA ?= samples/catalogue
STORE ?= demo_store
PORT ?= 3000
PYTEST_ARGS ?=
TEST_PROCESSES ?= 2

# The first of these that is new enough creates the virtual environment.
PYTHON ?= python3.13 python3.12 python3.11 python3

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check
LOCK := constraints.txt
CATALOGUE := --inbox "$(MEDIA)" --store "$(STORE)"

# PyTorch's wheels can take longer than uv's own limit on a slow line.
export UV_HTTP_TIMEOUT ?= 300

.PHONY: help setup setup-dev demo ui test lint format lock docs clean

help:
	@echo "make demo            process the sample films, from title folders to clip features in DuckDB"
	@echo "make demo MEDIA=DIR  process the title folders in DIR instead (STORE=DIR for the results)"
	@echo "make ui              start Dagster's UI on the demo's catalogue"
	@echo "make setup           install into $(VENV), with the versions and hashes of $(LOCK)"
	@echo "make test            run the tests; PYTEST_ARGS='-k shots' for some of them"
	@echo "make lint            check style, types, directions of imports, and the words of the prose"
	@echo "make format          format the code, and apply ruff's automatic fixes"
	@echo "make lock            update $(LOCK) after a change of dependencies"
	@echo "make docs            regenerate the table of settings and the drawing of the code"
	@echo "make clean           remove caches and the demo's store"

# --- set-up -------------------------------------------------------------------------------------

setup: $(VENV)/.installed

setup-dev: $(VENV)/.installed-dev

$(VENV)/.installed: pyproject.toml $(LOCK) | $(VENV)/.created
	$(call install,.)
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(LOCK) | $(VENV)/.created
	$(call install,.[dev])
	@touch $(VENV)/.installed $@

# Packages are installed only if their hash is in the lock file, including the tools that install
# them. uv is several times as fast as pip. It has its own configuration, so if only pip is configured
# to reach an index, pip installs instead, and installs the tests' packages too.
define install
@echo "Installing into $(VENV): some minutes and 7 GB the first time."
@sed -n '/^uv==/,/[^\\]$$/p' $(LOCK) > $(VENV)/uv.txt
@$(PIP) --quiet --require-hashes -r $(VENV)/uv.txt \
	&& $(BIN)/uv pip install --compile-bytecode --python $(BIN)/python \
		--constraint $(LOCK) --build-constraint $(LOCK) --editable "$(1)" \
	|| { echo "uv has failed: installing with pip."; \
	     $(PIP) --require-hashes -r $(LOCK) && $(PIP) --no-deps --no-build-isolation --editable .; }
endef

$(VENV)/.created:
	@for python in $(PYTHON); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
			echo "$$python has no venv module: install it (Debian: apt install python3-venv)." >&2; \
			exit 1; \
		fi; \
		echo "Creating $(VENV) with $$("$$python" --version)."; \
		"$$python" -m venv $(VENV) && touch $@; \
		exit; \
	done; \
	echo "No Python 3.11 or later among: $(PYTHON). Install one, or name it: make PYTHON=/path/to/python3.12" >&2; \
	exit 1

# --- use ----------------------------------------------------------------------------------------

TITLES := SELECT title_id, name, language, round(duration_s, 1) AS seconds, shots, clips FROM titles
CLIP := SELECT title_id || ' ' || start_s || ' ' || end_s AS clip FROM clips \
	ORDER BY proposed, title_id, start_s LIMIT 1

demo: setup
	@$(BIN)/mediafm run $(CATALOGUE)
	@echo
	@echo '$$ mediafm sql --store $(STORE) "$(TITLES)"'
	@$(BIN)/mediafm sql --store "$(STORE)" "$(TITLES)"
	@echo
	@clip=$$($(BIN)/mediafm sql --store "$(STORE)" --json "$(CLIP)" \
		| sed -n 's/.*"clip": "\([^"]*\)".*/\1/p') && \
	echo "\$$ mediafm similar --store $(STORE) $$clip -k 5" && \
	$(BIN)/mediafm similar --store "$(STORE)" $$clip -k 5
	@echo
	@echo "All results are in $(STORE); any DuckDB client opens $(STORE)/features.duckdb."
	@echo
	@echo "Next: make ui                                 the same in Dagster: shots, curves, checks"
	@echo "      make demo MEDIA=DIR STORE=DIR           your own films (docs/how-to/add_titles.md)"
	@echo "      . $(BIN)/activate; mediafm --help    everything else"

ui: setup
	@$(BIN)/mediafm ui $(CATALOGUE) --port $(PORT)

# --- work on the project ------------------------------------------------------------------------

test: $(VENV)/.installed-dev
	@$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder \
		$(PYTEST_ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.prose

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Versions in the file are kept if they are still allowed; delete it first to update all of them.
# One version for all Pythons, so that the tested versions run on each of them.
lock: | $(VENV)/.created
	@$(PIP) --quiet uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --group build --universal \
		--python-version 3.11 --fork-strategy fewest --generate-hashes \
		--no-annotate --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --quiet --output-file $(LOCK)

docs: $(VENV)/.installed-dev
	$(BIN)/python -m mediafm_core.config.reference docs/reference/configuration.md
	$(BIN)/python -m tools.architecture docs/explanation/architecture.svg

clean:
	rm -rf demo_store build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find mediafm_core mediafm_assets samples tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
