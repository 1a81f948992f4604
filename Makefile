# Each target sets up what it needs: Python 3.11 or newer (with venv) and make are enough.

PYTHON ?= python3
BIN := .venv/bin
export DAGSTER_DISABLE_TELEMETRY := yes
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export DO_NOT_TRACK := 1

.PHONY: run ui test check bench format clean clean-data

# Fill the inbox with sample sources if it is empty, run every stage, print a summary.
run: .venv/.run
	$(BIN)/cdp run --samples

# The asset graph at http://localhost:3000, with sensors and schedules on; Ctrl-C stops
# it, a run in progress included. PORT=3001 takes another port.
ui: .venv/.run
	@exec $(BIN)/cdp ui --port $(or $(PORT),3000)

# The tests. ARGS passes more to pytest: make test ARGS="-k consent"
test: .venv/.dev
	$(BIN)/pytest -n 2 --dist loadgroup $(ARGS)

# Lint, types, SQL style, and whether the code location loads.
check: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --processes 2 dbt_project/models dbt_project/tests
	$(BIN)/dagster definitions validate

# The whole graph at 10 k and 100 k person records beside a hand-written floor.
# make bench SIZES="10000 100000 1000000"; loading alone, beside DuckDB's own read:
# .venv/bin/python -m tests.benchmarks.loading 5000000
bench: .venv/.dev
	$(BIN)/python -m tests.benchmarks.graph $(or $(SIZES),10000 100000)

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# All runtime data: what was dropped, loaded, made, sent and remembered, but for
# data/backups. Stop `make ui` first.
DATA := $(or $(CDP_DATA),data)
clean-data:
	cd $(DATA) && rm -rf inbox landing samples serving outgoing dagster rulesets as_of \
	    last_run.json run.log alerts.json *.duckdb *.duckdb.* *.sqlite *.sqlite-* *.lock

# And the environment and what dbt compiled.
clean: clean-data
	rm -rf .venv dbt_project/target dbt_project/logs

.venv/.uv: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@touch $@

.venv/.run: .venv/.uv pyproject.toml
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt \
	    --editable .
	@touch $@

.venv/.dev: .venv/.run
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt \
	    --editable '.[test,check]'
	@touch $@
