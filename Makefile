# Every target makes the environment that it needs. PYTHON chooses the interpreter for .venv (3.11 or newer).
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.ready
JOBS ?= 3
WORKERS ?= 8
# Compiled modules are kept, whatever the shell says: nine processes of pytest and each `gatehouse` of a test would
# compile the whole project anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test collected reference frozen soak faults mutate sim lint bench multitests sbom dist aarch64 clean setup

setup: $(STAMP)

$(STAMP): requirements.lock requirements-stubs.lock requirements-client.lock pyproject.toml host_tools/boards/fetch.py host_tools/boards/fetch32.py \
		host_tools/boards/fetch_client.py
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Gatehouse needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@echo "setting up $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --upgrade --target .cache/typings -r requirements-stubs.lock
	@$(PY) -m host_tools.boards.fetch
	@touch $@

demo: $(STAMP)
	@$(PY) -m host_tools.demo $(if $(ONCE),--once)

# Most of a system test's time is time on the air, so several share a core; tests/conftest.py says what runs when
test: $(STAMP)
	@$(MAKE) --no-print-directory -j 2 lint collected
	@$(PY) -m pytest -q -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

# Beside the linters, on the other core: what each worker of the run would compile for itself
collected: $(STAMP)
	@$(PY) -m pytest -q --collect-only >/dev/null || true

# docs/reference.md, from the code
reference: $(STAMP)
	@$(PY) -m host_tools.cli.reference > docs/reference.md

# MicroPython with the firmware frozen in, 32 bits wide: system tests and heap stories on it
FROZEN_TESTS := tests/system/test_unlock.py tests/system/test_jobs.py tests/system/test_records.py \
	tests/system/test_passcodes.py tests/system/test_basics.py
frozen: $(STAMP)
	@$(PY) -m host_tools.boards.frozen
	@GATEHOUSE_BUILD=frozen $(PY) -m pytest -q -n $(JOBS) --dist loadfile $(FROZEN_TESTS)
	@$(PY) -m pytest -q tests/system/test_heap.py tests/system/test_port32.py -k frozen

# The counts that a release must show: minutes, not seconds
soak: $(STAMP)
	@GATEHOUSE_SOAK=1 $(PY) -m pytest -q -s --timeout 1800 tests/system

# The fault matrix at full counts: prints failures / N of each row; SEED=n repeats a run
faults: $(STAMP)
	@GATEHOUSE_FAULTS=1 $(if $(SEED),GATEHOUSE_SEED=$(SEED)) $(PY) -m pytest -q --timeout 7200 tests/faults

# Rows of the dispatch tables disabled in turn: which test notices each; ONLY=expression chooses
mutate: $(STAMP)
	@$(PY) -m tests.mutate --jobs $(JOBS) $(if $(ONLY),--only '$(ONLY)')

sim: $(STAMP)
	@$(PY) -m host_tools.cli sim up

lint: $(STAMP)
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m mypy --config-file firmware/mypy.ini

# MicroPython's own Bluetooth tests on two bare boards, and aioble's where GATEHOUSE_AIOBLE has them
multitests: $(STAMP)
	@$(PY) -m bench.multitests

# The bill of materials, CycloneDX: what all of this is made of, by version and hash
sbom: $(STAMP)
	@$(PY) -m host_tools.boards.sbom build/sbom.json

# Wheel and sdist, tried in a fresh environment
dist: $(STAMP)
	@$(PY) -m host_tools.release.dist

# Whether a Raspberry Pi gets by with wheels: asks the package index
aarch64: $(STAMP)
	@$(PY) -m host_tools.release.aarch64

bench: $(STAMP)
	@$(PY) -m bench

clean:
	rm -rf $(VENV) .cache build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
