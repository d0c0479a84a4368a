# The only task list. `make help` prints it; CI and the release run nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
TOOLS := $(abspath $(TARGET_DIR))/tools
VENV := $(abspath $(TARGET_DIR))/venv

.PHONY: help
help: ## List the tasks
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

.PHONY: build
build: ## Build target/release/bootstrap
	cargo build --locked --release --package github-token-broker --bin bootstrap

# SERVE=1 stays up until Ctrl-C and prints the tutorial's commands.
.PHONY: demo
demo: build ## See it work without an account: token, refusals, timeline (SERVE=1 stays up)
	cargo build --locked --package sandbox --bin sandbox
	$(TARGET_DIR)/debug/sandbox $(if $(SERVE),serve,demo)

# --- Tests ---------------------------------------------------------------------------------------------------------

# TARGET of one suite: `tests/run.py` runs it, counts what it tested, and fails when that is nothing.
.PHONY: test
test: build $(VENV)/terraform ## Run every test, and sum up what each suite counted
	python3 tests/run.py

.PHONY: soak
soak: build ## 20,000 invocations with faults and freezes: none lost, none mixed up, memory flat (up to 8 minutes)
	cargo run --locked --quiet --package sandbox --example soak

.PHONY: fuzz
fuzz: $(TOOLS)/installed/cargo-fuzz@0.13.2 ## Fuzz each parser for a minute (needs a nightly compiler)
	for target in $$(cd fuzz && ls targets | sed 's/\.rs$$//'); do \
		PATH=$(TOOLS)/bin:$$PATH cargo +nightly fuzz run --fuzz-dir fuzz $$target -- -max_total_time=60; \
	done

# --- Checks and packages -------------------------------------------------------------------------------------------

CARGO_DENY := cargo-deny@0.20.2

.PHONY: check
check: $(TOOLS)/installed/$(CARGO_DENY) $(VENV)/packaging ## Formatting, lints, licences, sources, API docs, workflows
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc --locked --workspace --no-deps --document-private-items
	$(TOOLS)/bin/cargo-deny --locked --workspace check --hide-inclusion-graph licenses bans sources
	$(VENV)/bin/zizmor --offline --no-progress --persona auditor .github

# A tool from crates.io, pinned as name@version: built once, without optimisation or debug information (a third of the
# time, and a run costs a second more at most), in one build folder, so that what two tools share is compiled once.
$(TOOLS)/installed/%:
	CARGO_PROFILE_DEV_DEBUG=0 cargo install --locked --debug --root $(TOOLS) --target-dir $(TOOLS)/build $*
	mkdir -p $(@D) && touch $@

$(VENV)/packaging: packaging/requirements.txt
	test -x $(VENV)/bin/pip || python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

# --- Terraform -----------------------------------------------------------------------------------------------------
# The tests bring their own AWS and provider; only Terraform or OpenTofu itself must be there.

$(VENV)/terraform: terraform/tests/requirements.txt
	test -x $(VENV)/bin/pip || python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

# checkov pins what boto3 and moto pin differently.
$(VENV)-checkov/installed: terraform/tests/requirements-checkov.txt
	test -x $(VENV)-checkov/bin/pip || python3 -m venv $(VENV)-checkov
	$(VENV)-checkov/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

.PHONY: test-terraform
test-terraform: build $(VENV)/terraform $(VENV)-checkov/installed ## Test the Terraform module and run the tutorial (PROVIDER=registry: the real provider)
	cargo build --locked --package sandbox --bin sandbox
	PROVIDER=$(PROVIDER) PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python terraform/tests/run.py
