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
