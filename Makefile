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
	cargo build --locked --release --package broker --bin bootstrap

# SERVE=1 stays up until Ctrl-C and prints the tutorial's commands.
.PHONY: demo
demo: build ## See it work without an account: token, refusals, timeline (SERVE=1 stays up)
	cargo build --locked --package sandbox --bin sandbox
	$(TARGET_DIR)/debug/sandbox $(if $(SERVE),serve,demo)

# --- Tests ---------------------------------------------------------------------------------------------------------

# `tests/run.py` runs each suite, counts what it tested, and fails when that is nothing.
.PHONY: test
test: build $(VENV)/terraform ## Run every test, and sum up what each suite counted
	python3 tests/run.py

.PHONY: soak
soak: build ## 20,000 invocations with faults and freezes: none lost, none mixed up, memory flat (up to 8 minutes)
	cargo run --locked --quiet --package bench --bin soak

# The packages of this machine's architecture are built for the row on their size. SHORT=1 only shows that the bench works:
# few runs, by the harness that the tests use, and nothing is written into the docs.
.PHONY: bench
bench: build $(if $(SHORT),,package) ## How fast it is, and the page that tells it (PEER=FILE: another program beside ours; SHORT=1)
	cargo run --locked --quiet $(if $(SHORT),,--release) --package bench --bin bench -- $(if $(SHORT),--short) $(if $(PEER),--peer $(PEER))
bench: ARCH = $(HOST_ARCH)

# A build of its own, with what `perf` needs to tell functions apart.
.PHONY: profile
profile: ## Where the CPU time of a start and of a warm invocation goes (needs perf, as root, on x86_64)
	CARGO_PROFILE_RELEASE_STRIP=none RUSTFLAGS=-Cforce-frame-pointers=yes cargo build --locked --release \
		--target-dir $(TARGET_DIR)/profile --package broker --bin bootstrap
	BROKER_UNDER_TEST=$(abspath $(TARGET_DIR))/profile/release/bootstrap cargo run --locked --quiet --release --package bench --bin profile

.PHONY: fuzz
fuzz: $(TOOLS)/installed/cargo-fuzz@0.13.2 ## Fuzz each parser for a minute (needs a nightly compiler)
	for target in $$(cd fuzz && ls targets | sed 's/\.rs$$//'); do \
		PATH=$(TOOLS)/bin:$$PATH cargo +nightly fuzz run --fuzz-dir fuzz $$target -- -max_total_time=60; \
	done

# --- Checks and packages -------------------------------------------------------------------------------------------

CARGO_DENY := cargo-deny@0.20.2
CARGO_AUDITABLE := cargo-auditable@0.7.7
RELEASE_RUST := 1.95.0
DIST := dist
HOST_ARCH := $(subst aarch64,arm64,$(shell uname -m))
export CARGO_HOME ?= $(HOME)/.cargo

# A release build names no folder of the machine it was made on. `build` and `package` share these flags, and so their
# objects; the bench takes the same for the same reason. AWS-LC's build does the same for its C sources by itself.
UNIT_SEPARATOR := $(shell printf '\037')
build package $(if $(SHORT),,bench): export CARGO_ENCODED_RUSTFLAGS := --remap-path-prefix=$(CARGO_HOME)/registry/src=/deps$(UNIT_SEPARATOR)--remap-path-prefix=$(CURDIR)=/src

# `build.rs` refuses a build of ours that has AWS-LC's jitter entropy.
build package: export RELEASE_RECIPE := 1

.PHONY: check
check: $(TOOLS)/installed/$(CARGO_DENY) $(VENV)/packaging ## Formatting, lints, licences, sources, API docs, workflows
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc --locked --workspace --no-deps --document-private-items
	$(TOOLS)/bin/cargo-deny --locked --workspace check --hide-inclusion-graph licenses bans sources
	$(VENV)/bin/zizmor --offline --no-progress --persona auditor .github

# Apart from `check`: it needs the advisory database, from the network, and can fail on a day when nothing changed here.
.PHONY: advisories
advisories: $(TOOLS)/installed/$(CARGO_DENY) ## Known vulnerabilities in the dependencies (needs the network)
	$(TOOLS)/bin/cargo-deny --locked --workspace check advisories

.PHONY: package
package: export CARGO_TARGET_DIR := $(abspath $(TARGET_DIR))
package: export RELEASE_RUST := $(RELEASE_RUST)
package: $(TOOLS)/installed/$(CARGO_AUDITABLE) $(VENV)/packaging ## Zips, SBOMs, notices and checksums in dist/ (ARCH=x86_64 or arm64 for one)
	status=0; PATH="$(TOOLS)/bin:$$PATH" $(VENV)/bin/python packaging/package.py --into $(DIST) $(or $(ARCH),x86_64 arm64) || status=$$?; \
	$(CHECKSUMS) || status=1; exit $$status

CHECKSUMS = cd $(DIST) && sha256sum -- *.zip *.cdx.json *.NOTICES.txt > checksums.txt

.PHONY: checksums
checksums: ## Write dist/checksums.txt over what is in dist/
	$(CHECKSUMS)

# Debian 12, as root. The release does not use these: each architecture is built on a runner of its own kind.
.PHONY: cross-tools
cross-tools: ## Install what `make package ARCH=arm64` needs on a Debian x86_64 machine
	dpkg --add-architecture arm64
	apt-get update -qq
	apt-get install -qq --yes --no-install-recommends rustc-web libstd-rust-web-dev:arm64 gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static

.PHONY: release-toolchain
release-toolchain: ## Install the exact compiler that releases are built with, by rustup
	rustup toolchain install $(RELEASE_RUST) --profile minimal --component clippy --component rustfmt
	rustup default $(RELEASE_RUST)

.PHONY: test-package
test-package: export CARGO_TARGET_DIR := $(abspath $(TARGET_DIR))
test-package: package ## Build the packages of this machine's architecture (or ARCH=...), then check and run them
	PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python packaging/test_package.py --into $(DIST) $(ARCH)
	PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python packaging/test_release.py
test-package test-reproducible: ARCH := $(or $(ARCH),$(HOST_ARCH))

# The tag comes from the workflow's environment, and is compared before anything else uses it.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
GH := gh

.PHONY: release-check
release-check: ## Is the tag the version of Cargo.toml, and does the changelog speak of it?
	test "$${RELEASE_TAG:-v$(VERSION)}" = "v$(VERSION)" || { echo "The tag is not v$(VERSION), the version in Cargo.toml" >&2; exit 1; }
	grep -q '^## \[$(VERSION)\]' CHANGELOG.md || { echo "CHANGELOG.md has no entry for $(VERSION)" >&2; exit 1; }

# Says `true`, `false` or, where there is no release yet, `none`. A published release is never changed, by no rerun either.
IS_DRAFT = $$($(GH) release view v$(VERSION) --json isDraft --jq .isDraft || echo none)
IS_PUBLISHED = { echo "v$(VERSION) is published, and stays as it is. Raise the version" >&2; exit 1; }

.PHONY: release-draft
release-draft: release-check ## (workflow) Draft the release of the tag, with its part of the changelog
	draft=$(IS_DRAFT); test "$$draft" != false || $(IS_PUBLISHED); \
	notes=$$(mktemp); trap 'rm -f "$$notes"' EXIT; \
	sed -n '/^## \[$(VERSION)\]/,/^## \[/{//!p}' CHANGELOG.md > "$$notes"; \
	test "$$draft" = true || $(GH) release create v$(VERSION) --draft --verify-tag --title v$(VERSION) --notes-file "$$notes"

# What the how-to tells a user to run. Uploaded is only what would pass it.
SLUG := $(shell sed -n 's|^repository = "https://github.com/\(.*\)"|\1|p' Cargo.toml)
VERIFY = $(GH) attestation verify "$$zip" --repo $(SLUG) --signer-workflow $(SLUG)/.github/workflows/release.yml --source-ref refs/tags/v$(VERSION)

.PHONY: release-publish
release-publish: release-check ## (workflow) Verify what is in dist/, upload it to the draft and publish it
	draft=$(IS_DRAFT); test "$$draft" != false || $(IS_PUBLISHED); test "$$draft" = true
	for zip in $(DIST)/*.zip; do $(VERIFY); $(VERIFY) --predicate-type https://cyclonedx.org/bom; done
	$(GH) release upload v$(VERSION) --clobber $(DIST)/*
	$(GH) release edit v$(VERSION) --draft=false

# Twice from the same sources: here, and in another folder, with another target folder, cargo home and folder of tools.
.PHONY: test-reproducible
test-reproducible: ## Two builds in two folders at two times give the same bytes (this machine's architecture, or ARCH=...)
	here=$(abspath $(TARGET_DIR))/reproducible; rm -rf "$$here"; $(MAKE) package ARCH=$(ARCH) DIST="$$here"; \
	there=$$(mktemp -d); trap 'rm -rf "$$there"' EXIT; mkdir "$$there/home" "$$there/a-longer-name" "$$there/tools"; \
	ln -s $(CARGO_HOME)/* "$$there/home"; cp -a $(TOOLS)/bin $(TOOLS)/installed "$$there/tools"; \
	git ls-files -z --cached --others --exclude-standard | tar --null -T - -c | tar -C "$$there/a-longer-name" -x; \
	CARGO_HOME="$$there/home" $(MAKE) -C "$$there/a-longer-name" package ARCH=$(ARCH) DIST="$$there/dist" \
		CARGO_TARGET_DIR="$$there/objects" TOOLS="$$there/tools" VENV=$(VENV); \
	diff -r "$$here" "$$there/dist"; cat "$$here/checksums.txt"; echo "The same bytes from $(CURDIR) and $$there/a-longer-name"; \
	echo "1 passed, 0 failed"

# A tool from crates.io, pinned as name@version: built once, without optimisation or debug information (a third of the
# time, and a run costs a second more at most), in one build folder, so that what two tools share is compiled once.
$(TOOLS)/installed/%:
	CARGO_PROFILE_DEV_DEBUG=0 cargo install --locked --debug --root $(TOOLS) --target-dir $(TOOLS)/build $(FEATURES) $*
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
test-terraform: $(VENV)/terraform $(VENV)-checkov/installed ## Test the Terraform module and run the tutorial (PROVIDER=registry: the real provider)
	cargo build --locked --package sandbox --bin sandbox
	$(MAKE) package ARCH=$(HOST_ARCH)
	PROVIDER=$(PROVIDER) PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python terraform/tests/run.py

# --- The book ------------------------------------------------------------------------------------------------------

MDBOOK := $(TOOLS)/installed/mdbook@0.5.4
MDBOOK_MERMAID := $(TOOLS)/installed/mdbook-mermaid@0.17.1
# Without mdBook's own web server, which is half of its dependencies; Python's shows the book as well.
$(MDBOOK): FEATURES := --no-default-features --features search

.PHONY: docs
docs: $(MDBOOK) $(MDBOOK_MERMAID) ## Build the book into docs/book (SERVE=1 shows it on 127.0.0.1:8000 until Ctrl-C)
	PATH="$(TOOLS)/bin:$$PATH"; RUST_LOG=warn mdbook-mermaid install docs; mdbook build docs
	$(if $(SERVE),python3 -m http.server --bind 127.0.0.1 --directory docs/book 8000)

$(VENV)/docs: docs/tests/requirements.txt $(VENV)/terraform
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

.PHONY: test-docs
test-docs: build docs browser $(VENV)/docs ## Test the book: links, commands, and every page in a browser
	cargo build --locked --package sandbox --bin sandbox
	PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python -m pytest -q -p no:cacheprovider --rootdir docs/tests docs/tests

# Chromium and its driver are of one version. GitHub's runners for x86_64 have Chrome; Ubuntu's packages have other names.
BROWSER_THERE := { command -v chromium || command -v chromium-browser || command -v google-chrome; } && command -v chromedriver
.PHONY: browser
browser: ## Install Chromium and its driver, unless they are there (Debian, as root)
	@if $(BROWSER_THERE); then exit; fi >/dev/null; \
	sudo=no; if test "$$(id -u)" = 0; then sudo=; elif test "$${CI:-}" = true; then sudo="sudo -n"; fi; \
	if test "$$sudo" != no && command -v apt-get >/dev/null; then \
		packages="chromium chromium-driver"; grep -q '^ID=ubuntu' /etc/os-release && packages="chromium-browser chromium-chromedriver"; \
		$$sudo apt-get update -qq; $$sudo apt-get install -qq --yes --no-install-recommends $$packages; \
	else \
		echo "No Chromium: the pages are not tested in a browser. On Debian, 'sudo make browser' brings it." >&2; test "$${CI:-}" != true; \
	fi
