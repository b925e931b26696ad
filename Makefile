# Targets of every day; each is a line or two. `make test` needs nothing but Python and a C++ compiler,
# which builds fastText, whose vectors ours are compared with.
PYTHON ?= python3
BIN := .venv/bin
ONLY ?=
MINUTES ?= 60

.PHONY: setup install demo check test test-long soak fuzz bench bench-gpu docs lock clean

# Everything, for whoever works on wslabel; and what runs alone, for the machines of a cluster.
setup: .venv/ready
install: .venv/installed

.venv/ready: requirements-dev.lock pyproject.toml
.venv/installed: requirements.lock pyproject.toml

# uv itself is the one that the lock names, by its hash. Byte code is compiled at once: importing
# torch and its friends takes half a minute without.
.venv/ready .venv/installed:
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	rm -f .venv/ready .venv/installed
	sed -n '/^uv==/,/^[^ ]*==/{/^uv==/p;/^ .*--hash/p}' $< > .venv/uv.lock
	$(BIN)/python -m pip install --quiet --require-hashes --requirement .venv/uv.lock
	$(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode --python $(BIN)/python $<
	$(BIN)/uv pip install --quiet --no-deps --python $(BIN)/python --editable .
	touch $@

# The whole story on drawn scenes, with nothing to fetch but the packages.
demo: setup
	$(BIN)/wslabel run configs/demo.yaml

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# What a newcomer runs. Two at a time: most of the waiting is for processes of Ray to start. The
# files keep together.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
test: setup
	$(PYTEST) -m "not long"

# What takes long: kills, real photos, a browser, clusters of several nodes, an installed wheel.
test-long: setup
	$(PYTEST) -m long

# Kill runs of the demo two hundred times, at random moments: drivers, actors, workers, nodes, heads;
# and play many more interleavings of two drivers.
soak: setup
	WSLABEL_INTERLEAVINGS=200 $(BIN)/python -m pytest tests/faults
	$(BIN)/python -m tests.soak --kills 200

# Feed hostile bytes to all that reads strangers' files, for MINUTES each, guided by coverage.
fuzz: setup
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

bench: setup
	$(BIN)/python -m tests.benchmarks $(ONLY)

# The same on a GPU machine: pools, precisions and transfers are those of the GPU.
bench-gpu: setup
	WSLABEL_BENCH_GPU=1 $(BIN)/python -m tests.benchmarks $(ONLY)

# Pages that are generated from the code.
docs: setup
	$(BIN)/python -m wslabel.project.reference > docs/configuration.md

# The second holds the packages of the first in the same versions, and more.
COMPILE := $(BIN)/uv pip compile pyproject.toml --generate-hashes --no-emit-index-url --no-header \
  --universal --python-version 3.11 --quiet
lock:
	$(COMPILE) --extra cluster --output-file requirements.lock
	$(COMPILE) --extra dev --constraints requirements.lock --output-file requirements-dev.lock

clean:
	rm -rf .venv workspaces .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz
