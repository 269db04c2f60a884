# The one door for people and for .ci/run. `make help` lists the targets.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
LATEST := .venv-latest
BIN := $(VENV)/bin
UV_VERSION := 0.13.8
TORCH_VERSION := 2.13.0
# TensorFlow greets on standard error; what goes wrong reaches us as Python exceptions.
export TF_CPP_MIN_LOG_LEVEL ?= 3
export TF_ENABLE_ONEDNN_OPTS ?= 1
SOURCES := kerasbert pipelines serving tfx tests benchmarks
PYTEST := python -m pytest -q -p no:cacheprovider
# So many processes of tests at once, a file in one of them. More than two want 3 GiB of memory each.
JOBS ?= 2
PARALLEL := --numprocesses $(JOBS) --dist loadfile
RUN_DIR ?= runs/demo
SEED ?= 0

.PHONY: help
help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/' | column -t -s "$$(printf '\t')"

# === Main job ===

.PHONY: demo
demo: $(VENV)/.installed  ## raw text -> vocabulary -> pretraining -> fine-tuning -> SavedModel -> served, with a report
	@$(BIN)/kerasbert demo --output $(RUN_DIR) --seed $(SEED)

.PHONY: demo-seeds
demo-seeds: $(VENV)/.installed  ## the demo's comparison over three seeds
	@$(BIN)/kerasbert demo --output runs/demo-seeds --seeds 0,1,2

# === Tests ===

.PHONY: test
test: lint types  ## lint, types, tests on TensorFlow and JAX, docs, wheel
	@# Two at once: much of it waits for processes to start, which alone leaves a core idle.
	@$(MAKE) --no-print-directory --jobs 2 test-tensorflow test-docs test-jax test-wheel

.PHONY: test-tensorflow
test-tensorflow: $(VENV)/.installed  ## the test suite, without what is marked slow
	$(BIN)/$(PYTEST) $(PARALLEL) -m "not slow" --ignore=tests/docs --ignore=tests/packaging

.PHONY: test-jax
test-jax: $(VENV)/.installed  ## the layer, model and training tests on the JAX backend
	KERAS_BACKEND=jax $(BIN)/$(PYTEST) $(PARALLEL) -m "backend and not slow" tests/layers tests/models tests/training

.PHONY: test-docs
test-docs: $(VENV)/.installed  ## doctests and the README's blocks
	@# The demo's steps import TFX, whose libraries are older than the warnings of this Python, and have no examples.
	$(BIN)/$(PYTEST) --doctest-modules kerasbert --ignore=kerasbert/cli/commands/demo_steps.py
	$(BIN)/$(PYTEST) tests/docs

.PHONY: docs
docs: $(VENV)/.installed  ## the documentation site, in site/; a warning or a broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs --quiet build --strict --site-dir site
	@echo "Open site/index.html"

.PHONY: test-wheel
test-wheel: $(VENV)/.installed  ## a wheel, built, installed without extras in an empty environment, imported there
	$(BIN)/$(PYTEST) tests/packaging

.PHONY: test-slow
test-slow: $(VENV)/.installed  ## what needs longer
	$(BIN)/$(PYTEST) -m slow --timeout 3600

.PHONY: test-latest
test-latest: $(LATEST)/.installed  ## the tests on Python 3.11 with the newest TensorFlow and Keras, and on its JAX
	$(LATEST)/bin/$(PYTEST) $(PARALLEL) -m "not slow" --ignore=tests/docs --ignore=tests/packaging \
		--ignore=tests/orchestration
	KERAS_BACKEND=jax $(LATEST)/bin/$(PYTEST) $(PARALLEL) -m "backend and not slow" tests/layers tests/models tests/training

# === Habits ===

.PHONY: format
format: $(VENV)/.installed  ## rewrite the sources in the house's layout
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

.PHONY: lint
lint: $(VENV)/.installed  ## layout, lint, and the order of imports
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/lint-imports --no-cache

.PHONY: types
types: $(VENV)/.installed  ## mypy on kerasbert
	$(BIN)/mypy

.PHONY: benchmark
benchmark: $(VENV)/.installed  ## every figure of speed and parity, as JSON under runs/benchmarks
	$(BIN)/python -m benchmarks --output runs/benchmarks

.PHONY: clean
clean:  ## remove the environments and what was built
	rm -rf $(VENV) $(LATEST) build dist site *.egg-info

# === Environments ===

$(VENV)/.installed: requirements/python3.10.txt requirements/no-deps.txt setup.cfg pyproject.toml
	@requirements/install.sh 3.10 $(VENV) requirements/python3.10.txt $(UV_VERSION)

$(LATEST)/.installed: requirements/python3.11-latest.txt requirements/no-deps.txt setup.cfg pyproject.toml
	@TORCH_VERSION=$(TORCH_VERSION) requirements/install.sh 3.11 $(LATEST) requirements/python3.11-latest.txt $(UV_VERSION)

.PHONY: constraints
constraints: $(VENV)/.installed  ## remake the constraints files from setup.cfg
	$(BIN)/uv pip compile setup.cfg --quiet --python-version 3.10 --no-emit-index-url --no-annotate --upgrade \
		--custom-compile-command "make constraints" -o requirements/python3.10.txt \
		--extra report --extra serving --extra demo --extra keras-nlp --extra tfx --extra jax --extra test --extra docs --extra dev \
		requirements/python3.10.in
	$(BIN)/uv pip compile setup.cfg --quiet --python-version 3.11 --no-emit-index-url --no-annotate --upgrade \
		--custom-compile-command "make constraints" -o requirements/python3.11-latest.txt \
		--extra report --extra serving --extra demo --extra keras-nlp --extra jax --extra test \
		requirements/python3.11-latest.in
