# Every command that a person runs, by name. `make` alone lists them.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# What is installed for the checks lies outside the work tree, one folder for each version.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/holdfast
CARGO_DENY_VERSION := 0.18.3
CARGO_DENY := $(CACHE)/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
# One on the PATH is used if it is the same: what others find differs.
ifeq ($(shell cargo-deny --version 2>/dev/null),cargo-deny $(CARGO_DENY_VERSION))
CARGO_DENY := $(shell command -v cargo-deny 2>/dev/null)
endif

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the release binary, target/release/holdfast
	cargo build --release --package holdfast --features jemalloc

# Where `make docker-build` and `make push` have the image.
IMAGE_REPOSITORY ?= localhost/holdfast
IMAGE_TAG ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

.PHONY: docker-build
docker-build: ## Build the image, by docker, podman or buildah
	@binary=$$(image/binary) && image/build "$$binary" "$(IMAGE_REPOSITORY):$(IMAGE_TAG)"

.PHONY: push
push: ## Push the image to IMAGE_REPOSITORY, as IMAGE_TAG
	@image/push "$(IMAGE_REPOSITORY):$(IMAGE_TAG)"

.PHONY: reproduce
reproduce: ## Build the image's binary twice, in two folders, and compare
	@image/reproduce

.PHONY: fmt
fmt: ## Format the code
	cargo fmt --all

.PHONY: lint
lint: $(CARGO_DENY) ## Check format, lints, docs, licences and dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --package holdfast-e2e --test velero --test bench -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	$(CARGO_DENY) --workspace check bans licenses sources

.PHONY: setup
setup: ## Install the servers that the tests run against, once
	@tests/testbed/setup

.PHONY: test
test: setup ## Run all tests, against real servers too
	cargo test --workspace --no-fail-fast

# `make test` leaves these out by construction (`test = false` in tests/e2e/Cargo.toml): they take long, and Velero
# and its plugin have to be built first.
.PHONY: test-velero
test-velero: ## Back up and restore with the real Velero, about 20 minutes
	@tests/testbed/setup --with-velero
	cargo test --package holdfast-e2e --test velero

# Left out of `make test` in the same way: what it measures is the binary of the image, and takes a machine for itself.
.PHONY: bench
bench: setup ## Measure memory, start and repair against their bounds, about 5 minutes
	binary=$$(image/binary) && HOLDFAST_BINARY="$$(realpath "$$binary")" cargo test --package holdfast-e2e --test bench

.PHONY: chart
chart: ## Make what of the Helm chart follows from policies and values
	cargo build --quiet --package holdfast
	charts/generate target/debug/holdfast

.PHONY: docs
docs: ## Make the API documentation, and the schemas of policies that editors and clusters use
	cargo run --quiet --package holdfast -- schema >docs/policy.schema.json.new
	mv docs/policy.schema.json.new docs/policy.schema.json
	cargo run --quiet --package holdfast -- schema --crd >charts/holdfast/crds/policies.yaml.new
	mv charts/holdfast/crds/policies.yaml.new charts/holdfast/crds/policies.yaml
	cargo doc --workspace --no-deps

$(CACHE)/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny:
	@echo "lint: installing cargo-deny $(CARGO_DENY_VERSION) into $(CACHE); about 5 minutes on 2 cores, done once"
	env -u CARGO_TARGET_DIR cargo install --quiet --locked cargo-deny --version $(CARGO_DENY_VERSION) \
		--root $(CACHE)/cargo-deny-$(CARGO_DENY_VERSION)
