# Each line under a name is a command a person could type.  PYTHON is the interpreter (3.11 or
# newer) of the virtual environment; WORKERS the number of test processes, `logical`: one per CPU.
PYTHON ?= python3
WORKERS ?= logical
RUN := .venv/bin/python -m

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test soak venv assets lint format wheel simulate
.DELETE_ON_ERROR:

demo:
	packaging/ensure.sh demo
	$(MAKE) --no-print-directory venv assets
	$(RUN) sites.demo $(if $(ONCE),--once)

test:
	packaging/ensure.sh test
	$(MAKE) --no-print-directory venv assets
	$(RUN) pytest -q -n $(WORKERS) --maxprocesses 4 --dist worksteal

# What `test` leaves out because it takes long: more seeds, every mutant, more orders of payments.
soak:
	packaging/ensure.sh test
	$(MAKE) --no-print-directory venv assets
	$(RUN) pytest -q -n $(WORKERS) --maxprocesses 4 --dist worksteal -m long

venv: .venv/.complete

assets: web/static/vendor/.complete

# Many seeds of the simulation; SEED is the first of them.
simulate: venv
	.venv/bin/outstation simulate --seed $(or $(SEED),1) --seeds $(or $(SEEDS),100)

wheel: venv assets
	$(RUN) pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

lint: venv
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

format: venv
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

.venv/.complete: constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(RUN) pip install -qq --require-hashes -r constraints.txt
	$(RUN) pip install -qq --no-deps --no-build-isolation --editable .
	touch $@

web/static/vendor/.complete: web/package.json web/package-lock.json
	npm --prefix web ci --silent --no-audit --no-fund --ignore-scripts
	npm --prefix web run --silent assets
	touch $@
