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

# Terraform. The tests bring their own AWS and provider; only Terraform or OpenTofu itself must be there.
$(VENV)/terraform-tests.stamp: terraform/tests/requirements.txt
	test -x $(VENV)/bin/python || python3 -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

$(VENV)-checkov/installed.stamp: terraform/tests/requirements-checkov.txt
	test -x $(VENV)-checkov/bin/python || python3 -m venv $(VENV)-checkov
	$(VENV)-checkov/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

.PHONY: test-terraform
test-terraform: $(VENV)/terraform-tests.stamp $(VENV)-checkov/installed.stamp ## Test the Terraform module (PROVIDER=registry: on the real provider)
	PROVIDER="$(PROVIDER)" PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python terraform/tests/run.py
