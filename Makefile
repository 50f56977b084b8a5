# Everything a person or CI does here. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint faults truth wheel peers bench dev lock clean

help:  ## List the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(READY)  ## Make .venv and install the locked dependencies and Lakebed itself

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Lakebed needs Python 3.11 or newer"'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	touch $(READY)

demo: venv  ## A simulated company goes through the whole platform into ./lakebed-demo
	$(BIN)/lakebed demo

test: venv  ## Unit, SQL, integration, browser and convention tests
	$(BIN)/python -m pytest -m "not faults and not truth" --ignore tests/e2e --numprocesses 2 --dist loadfile --no-loadscope-reorder
	$(BIN)/python -m pytest tests/e2e

faults: venv  ## Kill processes and servers, set clocks, write at once: what is lost?
	$(BIN)/python -m pytest tests/faults -m faults --timeout 1800 --numprocesses 2 --dist loadfile

truth: venv  ## The whole platform over a simulated company of half the size: is what is hidden found? SEEDS=0,1,2,3
	LAKEBED_TRUTH_SEEDS=$(or $(SEEDS),1) $(BIN)/python -m pytest tests/integration/test_truth.py -m truth

lint: venv  ## ruff, mypy, sqlfluff, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint transforms --disable-progress-bar
	$(BIN)/lint-imports

wheel: venv  ## Build the wheel, install it elsewhere, and run the demo from it
	$(BIN)/python tests/conventions/check_wheel.py

peers: venv  ## Install what the benchmarks compare with (ClickHouse as chDB, CLP, ruptures)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes --no-deps -r benchmarks/peers.lock

bench: peers  ## Side-by-side measurements; see benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks.storage
	$(BIN)/python -m benchmarks.sketches
	$(BIN)/python -m benchmarks.archive
	$(BIN)/python -m benchmarks.queries
	$(BIN)/python -m benchmarks.settle
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.kill
	$(BIN)/python -m benchmarks.ingest
	$(BIN)/python -m benchmarks.changepoints
	$(BIN)/python -m benchmarks.forecast
	$(BIN)/python -m benchmarks.demo
	$(BIN)/python -m benchmarks.truth
	$(BIN)/python -m benchmarks.capacity
	$(BIN)/python -m benchmarks.anomaly

dev: venv  ## Dagster UI and daemon on localhost for CONFIG (default: the demo's)
	$(BIN)/lakebed ui --config $(or $(CONFIG),lakebed-demo/lakebed.toml)

lock: venv  ## Resolve requirements.lock again from pyproject.toml
	$(BIN)/uv pip compile --quiet --generate-hashes --extra dev --python-version 3.11 --no-emit-index-url --no-annotate --no-header pyproject.toml -o requirements.lock

clean:  ## Remove caches and the demo
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist lakebed-demo
