# What people do with the tree. Everything works as root in a fresh clone; nothing is installed outside of
# .venv but Debian's packages.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
# Extra words for pytest: make test ARGS="-k pipe"
ARGS ?=
FUZZ_SECONDS ?= 60

FAST_CRATES := -p adyton-abi -p adyton-executor -p adyton-storage -p adyton-vfs -p adyton-kernel

.PHONY: setup build build-fast demo test test-full check lint format bench docs docs-bench table fuzz lock clean
.DEFAULT_GOAL := help

.PHONY: help
help:
	@echo "make setup   install what the tree needs: packages, .venv, crates"
	@echo "make demo    run programs inside an enclave and compare with Linux"
	@echo "make test    all tests          make check   the quick ones (under 3 minutes)"
	@echo "make test-full   other runtimes, CPython's own tests, random sequences: an hour"
	@echo "make build   build and install into .venv (build-fast: quicker to build, for development)"
	@echo "make bench   compare with Linux          make docs    the site, into site/"
	@echo "make fuzz    look for inputs that break a decoder, FUZZ_SECONDS each"
	@echo "make lint    make format    make docs-bench (measure for the docs' page)"
	@echo "make table   the docs' table of system calls, after a change of them"

# Where no cargo is on PATH: one of our own, in .venv, for all that make starts.
ifeq ($(shell command -v cargo),)
export RUSTUP_HOME := $(CURDIR)/$(VENV)/rustup
export CARGO_HOME := $(CURDIR)/$(VENV)/cargo
export PATH := $(CARGO_HOME)/bin:$(PATH)
OWN_RUST := $(CARGO_HOME)/bin/cargo
endif

setup: $(VENV)/.complete $(OWN_RUST)
	cargo fetch --locked
	cargo fetch --locked --manifest-path fuzz/Cargo.toml

$(VENV)/.complete: requirements/dev.txt requirements/apt.txt requirements/apt-go.txt
	tools/install_packages.sh requirements/apt.txt
	@command -v go >/dev/null || tools/install_packages.sh requirements/apt-go.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	touch $@

ifneq ($(OWN_RUST),)
$(OWN_RUST): requirements/rustup.txt rust-toolchain.toml | $(VENV)/.complete
	tools/install_rust.sh $(BIN)
	touch $@
endif

# The editable install runs the same build hook as a wheel.
build: setup
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .

build-fast: setup
	$(BIN)/python tools/build_native.py --profile fast

$(BIN)/adyton:
	$(MAKE) build

demo: build
	$(BIN)/python tools/demo.py

# The fuzzers' own workspace shares what the workspace above has built.
REPLAY := cargo test --manifest-path fuzz/Cargo.toml --target-dir $(or $(CARGO_TARGET_DIR),target) --locked --quiet

# Every order in which threads may run, of what is shared between vCPUs and with the host's threads. The flag
# changes every crate, so they are built apart.
MODELS := RUSTFLAGS="--cfg loom" cargo test --release --locked --quiet \
    --target-dir $(or $(CARGO_TARGET_DIR),target)/loom

# What takes too long, or needs too much, for each change: other runtimes and libraries, CPython's own tests, random
# sequences of calls for ten minutes.
test-full: build $(VENV)-full/.complete
	$(PYTEST) -q -rA --durations=15 -m full $(ARGS) tests/programs
	$(PYTEST) -q --sequence-seconds 600 -m full tests/sequences/test_sequences.py

$(VENV)-full/.complete: requirements/full.txt requirements/apt-full.txt
	tools/install_packages.sh requirements/apt-full.txt
	$(PYTHON) -m venv $(VENV)-full
	$(VENV)-full/bin/pip install --quiet --require-hashes -r requirements/full.txt
	touch $@

test: build
	cargo test --workspace --exclude adyton-enclave --locked --quiet
	$(MODELS) -p adyton-executor --test loom
	$(MODELS) -p adyton-platform --features hosted --test loom
	$(REPLAY)
	$(PYTEST) -q --durations=15 $(ARGS) tests

# The image is built anew, which costs nothing when it is there: what runs is what the tree says.
check: lint build-fast | $(BIN)/adyton
	cargo test --locked --quiet $(FAST_CRATES)
	$(PYTEST) -q tests/unit tests/architecture
	$(PYTEST) -q -m smoke tests/integration

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --exclude adyton-enclave --all-targets --locked --quiet -- -D warnings
	cargo clippy -p adyton-enclave --locked --quiet -- -D warnings

format:
	$(BIN)/ruff format .
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

bench: build
	mkdir -p build
	$(BIN)/adyton bench syscall yield futex pipe thread start --json build/bench.json --plot build/bench.png

# Measures everything on this machine, some minutes; the result is committed.
docs-bench: build
	$(BIN)/python tools/bench_page.py $(if $(QUICK),--quick)

# A page of it is generated and committed: one that is out of date is for a person to look at.
docs: setup
	$(BIN)/python tools/syscall_table.py --check
	$(BIN)/mkdocs build --strict

table: setup
	$(BIN)/python tools/syscall_table.py

fuzz: setup
	tools/fuzz.sh $(FUZZ_SECONDS)

# Needs uv; the result is committed.
lock:
	uv pip compile pyproject.toml requirements/dev.in --group dev --group docs --group bench \
	    --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" \
	    -o requirements/dev.txt

clean:
	rm -rf build site target src/adyton/_bin
