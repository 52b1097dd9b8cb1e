# make demo | demo-rixs | demo-heat | demo-ptycho | test | check | faults | oracle | bench: each installs what it needs into .venv first.
PYTHON ?= python3
# Tests wait for simulated beamlines most of their time; a file's tests share one and stay together.
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# A real EPICS IOC for tests; apart from the packages, for ophyd would take its libca from there.
EPICS := $(VENV)/epics

# Mantis reads our files in tests; GPL, so it stays outside the project's environment.
MANTIS := $(VENV)/mantis

.PHONY: demo demo-rixs demo-heat demo-ptycho test check faults oracle bench constraints clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/redoxscope demo stack --out demo

demo-rixs: $(STAMP)
	$(BIN)/redoxscope demo rixs --out demo-rixs

demo-heat: $(STAMP)
	$(BIN)/redoxscope demo heat --out demo-heat

demo-ptycho: $(STAMP)
	$(BIN)/redoxscope demo ptycho --out demo-ptycho

$(EPICS): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps --upgrade --target $(EPICS) epicscorelibs setuptools-dso
	touch $(EPICS)

test: $(STAMP) $(EPICS)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

check: $(STAMP)
	$(BIN)/ruff check redoxscope tests benchmarks
	$(BIN)/ruff format --check redoxscope tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

# What may end an experiment of hours, at each of its messages; the tests take some of them.
faults: $(STAMP)
	REDOXSCOPE_ALL_MESSAGES=1 $(BIN)/python -m pytest -n $(WORKERS) --timeout 1200 tests/plans/thermal

$(MANTIS): $(STAMP)
	$(BIN)/python -m venv $(MANTIS)
	$(MANTIS)/bin/python -m pip install --quiet --disable-pip-version-check 'mantis-xray>=3.3'

# What other programs read in our files.
oracle: $(STAMP) $(MANTIS)
	REDOXSCOPE_MANTIS=$(MANTIS)/bin/python $(BIN)/python -m pytest tests/storage/test_mantis.py

bench: $(STAMP)
	$(BIN)/python -m benchmarks

# After a change of dependencies: freeze what a fresh installation resolved to.
constraints: $(STAMP) $(EPICS)
	($(BIN)/python -m pip freeze --exclude-editable; $(BIN)/python -m pip freeze --path $(EPICS)) | sort -fu > constraints.txt

clean:
	rm -rf $(VENV) demo demo-rixs demo-heat demo-ptycho rixs build *.egg-info
