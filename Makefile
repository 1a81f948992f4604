# Each target sets up what it needs: Python 3.11 or newer, make and gcc are enough.

PYTHON ?= python3
BIN := .venv/bin
export DAGSTER_DISABLE_TELEMETRY := yes
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export DO_NOT_TRACK := 1

.PHONY: run ui test check bench format clean

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

clean:
	rm -rf .venv dbt_project/target dbt_project/logs data/inbox data/landing data/samples \
	    data/serving data/outgoing data/dagster data/as_of data/*.duckdb* data/*.sqlite* \
	    data/*.lock

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
