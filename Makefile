# The same targets serve people and .ci/run. `make help` lists them.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
LATEST := .venv-latest
BIN := $(VENV)/bin
UV_VERSION := 0.13.8
TORCH_VERSION := 2.13.0
# TensorFlow logs to standard error on import; real failures reach us as Python exceptions.
export TF_CPP_MIN_LOG_LEVEL ?= 3
export TF_ENABLE_ONEDNN_OPTS ?= 1
SOURCES := kerasbert pipelines serving tfx tests benchmarks
PYTEST := python -m pytest -q -p no:cacheprovider
# Number of parallel test processes; each test file runs in one of them. Beyond two, each process needs 3 GiB of memory.
JOBS ?= 2
PARALLEL := --numprocesses $(JOBS) --dist loadfile
RUN_DIR ?= runs/demo
SEED ?= 0

.PHONY: help
help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/' | column -t -s "$$(printf '\t')"

# === Main job ===

.PHONY: demo
demo: $(VENV)/.installed  ## raw text -> vocabulary -> pretraining -> fine-tuning -> SavedModel -> server, with a report
	@$(BIN)/kerasbert demo --output $(RUN_DIR) --seed $(SEED)

.PHONY: demo-seeds
demo-seeds: $(VENV)/.installed  ## the demo's comparison with three seeds
	@$(BIN)/kerasbert demo --output runs/demo-seeds --seeds 0,1,2

# === Tests ===

.PHONY: test
test: lint types  ## lint, types, tests on TensorFlow and JAX, docs, wheels
	@# Two at once, because much of the time goes into starting processes, which leaves a core idle.
	@$(MAKE) --no-print-directory --jobs 2 test-tensorflow test-docs test-jax test-wheel

.PHONY: test-tensorflow
test-tensorflow: $(VENV)/.installed  ## the test suite without slow tests
	$(BIN)/$(PYTEST) $(PARALLEL) -m "not slow" --ignore=tests/docs --ignore=tests/packaging

.PHONY: test-jax
test-jax: $(VENV)/.installed  ## the layer and model tests on the JAX backend; `test-latest` has those of training too
	KERAS_BACKEND=jax $(BIN)/$(PYTEST) $(PARALLEL) -m "backend and not slow" tests/layers tests/models

.PHONY: test-docs
test-docs: $(VENV)/.installed  ## doctests and the documentation site; the README's blocks and the tutorials are slow tests
	@# The demo's steps have no examples, and they import TFX, whose libraries raise warnings.
	$(BIN)/$(PYTEST) --doctest-modules kerasbert --ignore=kerasbert/cli/commands/demo_steps.py
	@$(MAKE) --no-print-directory docs
	$(BIN)/$(PYTEST) -m "not slow" tests/docs

.PHONY: docs
docs: $(VENV)/.installed  ## the documentation site, in site/; a warning or a broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir site 2>&1 | sed '/^INFO/d'
	@echo "Open site/index.html"

.PHONY: test-wheel
test-wheel: $(VENV)/.installed  ## the wheels: built, and installed and used in empty environments
	$(BIN)/$(PYTEST) tests/packaging

.PHONY: test-slow
test-slow: $(VENV)/.installed  ## tests that take longer, the README's blocks and the tutorials
	$(BIN)/$(PYTEST) -m slow --timeout 3600

# What depends on the versions of TensorFlow, Keras and JAX. The rest runs in `test-tensorflow` only.
VERSIONED := tests/layers tests/models tests/training tests/preprocessing tests/checkpoints tests/parity tests/export \
	tests/recipes tests/cli/test_commands.py tests/serving/server/test_rest_predict.py \
	tests/serving/server/test_classify_regress.py tests/serving/server/test_grpc_api.py

.PHONY: test-latest
test-latest: $(LATEST)/.installed  ## the tests on Python 3.11 with the newest TensorFlow, Keras and JAX
	$(LATEST)/bin/$(PYTEST) $(PARALLEL) -m "not slow" $(VERSIONED)
	KERAS_BACKEND=jax $(LATEST)/bin/$(PYTEST) $(PARALLEL) -m "backend and not slow" tests/layers tests/models tests/training

.PHONY: test-trixie
test-trixie:  ## the tests on Debian 13 with its Python, in .trixie; needs root and debootstrap
	@tests/on_debian_13/run.sh

.PHONY: test-image
test-image: $(VENV)/.installed  ## both images, built and run in a chroot; needs root, buildah, debootstrap and 20 GB of disk
	$(BIN)/$(PYTEST) -m slow tests/images

# === Habits ===

.PHONY: format
format: $(VENV)/.installed  ## format the sources and fix lint
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

.PHONY: lint
lint: $(VENV)/.installed  ## formatting, lint and the order of imports
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/lint-imports --no-cache

.PHONY: types
types: $(VENV)/.installed  ## mypy
	$(BIN)/mypy

.PHONY: benchmark
benchmark: $(VENV)/.installed  ## speed and parity, as JSON under runs/benchmarks
	$(BIN)/python -m benchmarks --output runs/benchmarks

# Other libraries that `bench-inference` compares with. An environment that cannot be created is a row without numbers.
BENCH := .venv-bench
BENCH_STACKS := tokenizers onnxruntime pytorch openvino fastembed keras_hub infinity
CASES ?= limit,core
ROUNDS ?= 5

.PHONY: bench-environments
bench-environments:  ## the environments of the libraries that bench-inference compares with, in .venv-bench (6 GB)
	@$(MAKE) --no-print-directory --keep-going $(BENCH_STACKS:%=$(BENCH)/%/.installed) $(LATEST)/.installed || true

.PHONY: bench-inference
bench-inference: $(VENV)/.installed bench-environments  ## inference against other libraries; CASES=limit,core ROUNDS=5
	$(BIN)/python -m benchmarks.inference --cases $(CASES) --rounds $(ROUNDS) --output runs/benchmarks/inference.json

.PHONY: clean
clean:  ## remove the environments and build outputs
	rm -rf $(VENV) $(LATEST) $(BENCH) build dist site *.egg-info
	rm -rf --one-file-system .trixie

# === Environments ===

$(VENV)/.installed: requirements/tfx1.21.txt requirements/tfx1.16.txt requirements/no-deps.txt setup.cfg pyproject.toml \
		serving/pyproject.toml
	@requirements/install.sh $(VENV) "$${KERASBERT_STACK:-auto}" $(UV_VERSION)

$(LATEST)/.installed: requirements/latest.txt requirements/no-deps.txt setup.cfg pyproject.toml \
		serving/pyproject.toml
	@TORCH_VERSION=$(TORCH_VERSION) requirements/install.sh $(LATEST) latest $(UV_VERSION)

# PyTorch's own build is chosen by pip; see install.sh.
$(BENCH)/pytorch/.installed $(BENCH)/infinity/.installed: export TORCH_VERSION := $(TORCH_VERSION)

$(BENCH)/%/.installed: requirements/bench/%.txt
	@requirements/install.sh $(BENCH)/$* bench/$* $(UV_VERSION)

# The distribution kerasbert-client is this repository's own folder serving/.
COMPILE := $(BIN)/uv pip compile setup.cfg --quiet --no-emit-index-url --no-annotate --upgrade \
	--no-emit-package kerasbert-client \
	--custom-compile-command "make constraints"
LIBRARY_EXTRAS := --extra report --extra serving --extra demo --extra data-check --extra keras-nlp --extra jax --extra test
RUNTIME_EXTRAS := --extra onnx --extra openvino --extra litert
ALL_EXTRAS := $(LIBRARY_EXTRAS) --extra tfx --extra docs --extra dev

.PHONY: constraints
constraints: $(VENV)/.installed  ## recreate the constraints files from setup.cfg
	$(COMPILE) --universal --python-version 3.11 -o requirements/tfx1.21.txt $(ALL_EXTRAS) requirements/tfx1.21.in
	$(COMPILE) --python-version 3.10 -o requirements/tfx1.16.txt $(ALL_EXTRAS) requirements/tfx1.16.in
	$(COMPILE) --universal --python-version 3.11 -o requirements/latest.txt $(LIBRARY_EXTRAS) $(RUNTIME_EXTRAS) requirements/latest.in
	for stack in $(BENCH_STACKS); do \
		$(BIN)/uv pip compile requirements/bench/$$stack.in --quiet --no-emit-index-url --no-annotate --upgrade \
			--universal --python-version 3.11 --excludes requirements/bench/no-torch.txt \
			--custom-compile-command "make constraints" -o requirements/bench/$$stack.txt; \
	done
