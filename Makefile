# `make demo` and `make test` are all that a fresh machine needs.
PYTHON ?= python3
BIN := .venv/bin
DEMO := .demo
SOURCE ?= $(DEMO)/source/nsynth-train.tfrecord
CASES ?= 10000
SEED ?= 0
JOBS ?= 2

# As requires-python in pyproject.toml has it.
CHECK_PYTHON := command -v $(PYTHON) > /dev/null || { echo "there is no $(PYTHON); name a Python 3.11, 3.12 or 3.13: make PYTHON=python3.12 ..." >&2; exit 1; }; \
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14) and "Python 3.11, 3.12 or 3.13 is needed and $(PYTHON) is %d.%d; name another: make PYTHON=python3.12 ..." % sys.version_info[:2])'

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-explore up down status test test-e2e test-browser test-answers engines test-engines lint types layers unit test-jax format fuzz bench-convert bench-train bench-evaluate bench-orchestration bench-storage lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.complete ## make .venv and install everything, by the hashes of requirements-dev.txt

.venv/.complete: requirements-dev.txt pyproject.toml
	@$(CHECK_PYTHON)
	$(PYTHON) -m venv .venv
	@echo "installing the packages (a few minutes, 3.5 GB)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## generate a small data set, run the main job on it, print the report's path
	@$(BIN)/python -m infra.sample $(DEMO)/source
	@PREFECT_HOME=$(abspath $(DEMO))/prefect $(BIN)/nsynth retrain \
	  --train $(DEMO)/source/nsynth-train.tfrecord --test $(DEMO)/source/nsynth-test.tfrecord \
	  --root $(DEMO)/data --max-quarantined 0.05 --epochs 6 --batch-size 8

demo-explore: setup ## a study on the demo's data: from the small model to the large one, one change at a time
	@$(BIN)/python -m infra.sample $(DEMO)/source
	@PREFECT_HOME=$(abspath $(DEMO))/prefect $(BIN)/nsynth explore ladder \
	  --train $(DEMO)/source/nsynth-train.tfrecord --test $(DEMO)/source/nsynth-test.tfrecord \
	  --root $(DEMO)/data --max-quarantined 0.05 --samples 1000 --epochs 4 --batch-size 8

up: setup ## start a Prefect server and a worker here, with all deployments (NSYNTH_PORT=4200)
	@$(BIN)/python -m infra.orchestration up

down: ## end them
	@$(BIN)/python -m infra.orchestration down

status: ## what runs, waits and comes
	@$(BIN)/python -m infra.orchestration status

test: setup lint types layers unit ## everything that must hold

test-e2e: setup ## deployments on a real server and worker; Ctrl-C at each stage (minutes)
	$(BIN)/pytest --timeout 900 tests/e2e tests/train

test-browser: setup ## reports and the pages over runs in the Chromium that is installed, if one is
	$(BIN)/pytest tests/browser

test-answers: setup ## every command answers as it was recorded (minutes)
	$(BIN)/pytest --timeout 900 tests/answers

engines: setup ## install Prism, Flink, an S3 server and what tests them into .engines (minutes, 2.4 GB)
	@$(BIN)/python -m infra.engines

test-engines: engines ## the same conversion on each engine, on a real S3 server (minutes)
	$(BIN)/pytest --timeout 900 tests/engines

lint: setup ## style and format
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .

types: setup ## mypy, strict
	$(BIN)/mypy

layers: setup ## which module may import which
	$(BIN)/lint-imports

unit: setup ## the tests but those of test-*, in two processes: make unit JOBS=2
	$(BIN)/pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder

test-jax: .venv-jax/.complete ## the training tests on JAX, in an environment without TensorFlow
	KERAS_BACKEND=jax .venv-jax/bin/pytest tests/pipelines/train

.venv-jax/.complete: requirements-jax.txt pyproject.toml
	@$(CHECK_PYTHON)
	$(PYTHON) -m venv .venv-jax
	.venv-jax/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-jax.txt
	.venv-jax/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

format: setup ## mend style and format
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

fuzz: setup ## damaged files by the thousand: make fuzz CASES=10000 SEED=0
	@$(BIN)/python -m tests.fuzz.run --cases $(CASES) --seed $(SEED)

bench-convert: setup ## conversion against a plain Beam pipeline: make bench-convert SOURCE=FILE
	@$(BIN)/python -m tests.bench.convert $(SOURCE)

bench-train: setup ## training through the loader against arrays in memory: make bench-train [MANIFEST=FILE]
	@$(BIN)/python -m tests.bench.train $(MANIFEST)

bench-evaluate: setup ## time of an evaluation, and how often its intervals hold the truth (minutes)
	@$(BIN)/python -m tests.bench.evaluate

bench-orchestration: setup ## the main job through Prefect against its stages called directly
	@$(BIN)/python -m tests.bench.orchestration

bench-storage: setup ## conversion, cache and reading on S3 against a folder: make bench-storage [FILES="FILE ..."]
	@$(BIN)/python -m tests.bench.storage $(FILES)

lock: ## pin the newest packages that pyproject.toml allows (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet -o requirements-dev.txt
	uv pip compile pyproject.toml --extra beam --constraint requirements-dev.txt --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet -o requirements-beam.txt
	uv pip compile pyproject.toml --extra dataflow --constraint requirements-beam.txt --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet -o requirements-dataflow.txt
	uv pip compile requirements-jax.in --constraint requirements-dev.txt --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet -o requirements-jax.txt

clean: ## remove what the demo and the benchmarks wrote
	rm -rf $(DEMO) .bench
