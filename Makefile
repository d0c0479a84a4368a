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
test-terraform: $(VENV)/terraform $(VENV)-checkov/installed ## Test the Terraform module and run the tutorial (PROVIDER=registry: the real provider)
	PROVIDER=$(PROVIDER) PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python terraform/tests/run.py
