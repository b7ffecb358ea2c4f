# SPDX-License-Identifier: GPL-2.0-only
# What people type. The build itself is CMake's.
BUILD ?= build
JOBS  ?= $(shell nproc)
# Most tests wait most of the time, and each has namespaces of its own.
TEST_JOBS ?= $(shell echo $$((2 * $(JOBS))))

MAKEFLAGS += --no-print-directory

.PHONY: all docs-keys demo fleet-demo test test-deps bench bench-quick bench-fleet benches bench-deps faults soak reliability lint sanitize fuzz fuzz-short fuzzers cross kernels packages packages-test packages-reproducible deps clean help configure need-root

all: configure ## build everything into build/
	@cmake --build $(BUILD) -j $(JOBS)

demo: need-root deps configure ## show it: a hotspot, its clients and a cloud in namespaces of their own (root)
	@cmake --build $(BUILD) -j $(JOBS) --target viscum-demo
	@$(BUILD)/bin/viscum-demo

DEVICES ?= 20
fleet-demo: need-root deps all ## show a fleet: 20 hotspots, Ansible, a bad version, a device that was offline: minutes (root)
	@tests/support/install-packages.sh tests/fleet/packages.txt
	@tests/fleet/fleet_demo.sh $(BUILD)/bin $(DEVICES)

test: deps all ## run all tests; those that need root are skipped without it
	@ctest --test-dir $(BUILD) --output-on-failure -j $(TEST_JOBS)

test-deps: deps ## install what tests of examples, fleets, metrics and web pages need too; they are skipped without (root)
	@for list in examples fleet browser exporter; do tests/support/install-packages.sh tests/$$list/packages.txt || exit 1; done
	@tests/browser/install.sh $(BUILD)/bin/browser

# Nothing else may compute meanwhile. BENCH="path idle": only these; the figures of the others stay as they are.
BENCH ?= path packet transit failover deploy launch size idle exporter overload
bench: need-root deps bench-deps benches ## measure everything, beside what others use, and write docs/benchmarks.md: an hour (root)
	@cmake -S . -B $(BUILD)/package -DCMAKE_BUILD_TYPE=Release -DVISCUM_TESTS=OFF -DVISCUM_LTO=ON > /dev/null
	@cmake --build $(BUILD)/package -j $(JOBS)
	@rm -f $(BUILD)/bench/*.json
	@export VISCUM_BENCH_PROGRAMS=$(CURDIR)/$(BUILD)/package/bin VISCUM_BENCH_PACKAGES=$(CURDIR)/$(BUILD)/packages; \
	for bench in $(BENCH); do $(BUILD)/bin/viscum-bench-$$bench || exit 1; done
	@$(BUILD)/bin/viscum-bench-report $(BUILD)/bench docs/benchmarks.md docs/benchmarks

bench-quick: need-root deps bench-deps benches ## show that every benchmark works; the figures say nothing (root)
	@rm -rf $(BUILD)/bench && mkdir -p $(BUILD)/bench/plots && cp docs/benchmarks.md $(BUILD)/bench/
	@for bench in $(BENCH); do $(BUILD)/bin/viscum-bench-$$bench --quick || exit 1; done
	@$(BUILD)/bin/viscum-bench-report --quick $(BUILD)/bench $(BUILD)/bench/benchmarks.md $(BUILD)/bench/plots

# Of tests/fleet: DEVICES="20 50 100" are the sizes, and what docs/benchmarks.md shows.
bench-fleet: DEVICES = 20 50 100
bench-fleet: need-root deps bench-deps all ## measure roll-outs over 20, 50 and 100 hotspots: a quarter of an hour (root)
	@tests/support/install-packages.sh tests/fleet/packages.txt
	@rm -f $(BUILD)/bench/*.json
	@tests/bench/fleet/fleet.sh $(BUILD)/bin $(BUILD)/bench $(DEVICES)
	@$(BUILD)/bin/viscum-bench-report $(BUILD)/bench docs/benchmarks.md docs/benchmarks

benches: configure
	@cmake --build $(BUILD) -j $(JOBS) --target benches

# What is injected, and the scores that docs/reliability.md shows beside.
FAULTS := ^faults_|: ?fault [0-9]|^e2e: ?(attack|exposure):
faults: need-root deps all ## every fault at every point, not a sample: takes hours (root)
	@VISCUM_FAULTS=full ctest --test-dir $(BUILD) -R '$(FAULTS)' --output-on-failure

soak: need-root deps all ## faults of all kinds, mixed, for 20 minutes (root)
	@VISCUM_SOAK_SECONDS=$${VISCUM_SOAK_SECONDS:-1200} ctest --test-dir $(BUILD) -R '^faults_soak' --output-on-failure

reliability: all ## write docs/reliability.md anew, of what the last tests recorded
	@$(BUILD)/bin/viscum-reliability-report $(BUILD)/figures tests > $(BUILD)/reliability.md
	@mv $(BUILD)/reliability.md docs/reliability.md

docs-keys: configure ## write the tables of keys in docs/, of controller/spec/keys.h
	@cmake --build $(BUILD) -j $(JOBS) --target viscum-keys
	@$(BUILD)/bin/viscum-keys write docs

TARGET ?= aarch64_generic
cross: ## build for another processor, linked statically: TARGET of packaging/cross/targets.sh
	@packaging/cross/build.sh $(TARGET) $(BUILD)/cross/$(TARGET) $(JOBS)

# Each kind has a packaging/KIND/build.sh DIRECTORY JOBS.
PACKAGES ?= debian ipk
# OpenWrt's are built for these; empty: for all of packaging/cross/targets.sh whose compiler is installed.
TARGETS ?=
packages: deps ## build packages into build/packages: Debian's, and OpenWrt's for each of TARGETS (minutes each)
	@for kind in $(PACKAGES); do \
		VISCUM_TARGETS="$(TARGETS)" VISCUM_CROSS="$(BUILD)/cross" packaging/$$kind/build.sh $(BUILD)/packages $(JOBS) || exit 1; \
	done

packages-test: deps ## test OpenWrt's packages in build/packages, of all processors (make test: of this one and of mipsel; root)
	@tests/packages/ipk_every.sh $(BUILD)/packages

packages-reproducible: deps ## build the same packages twice, in two places, and compare: minutes, for each of TARGETS too
	@for kind in $(PACKAGES); do \
		VISCUM_TARGETS="$(TARGETS)" packaging/packages/reproducible.sh $(BUILD)/reproducible/$$kind $$kind $(JOBS) || exit 1; \
	done

# Those of tests/kernels/kernels.sh; KERNELS="x86_64-6.1 arm64-6.1": only these.
KERNELS ?= x86_64-5.10 x86_64-6.1 x86_64-6.12 arm64-6.1 armv7-6.1 armv7-6.12 mipsel-6.1 s390x-6.1
kernels: ## boot real kernels of several processors in QEMU, and write docs/kernels.md
	@tests/support/install-packages.sh tests/kernels/packages.txt
	@tests/kernels/run.sh $(BUILD) $(JOBS) $(KERNELS)

lint: deps configure ## formatting, the project's own rules, clang-tidy
	@tests/check/lint.sh $(BUILD) $(JOBS)

# What needs no privilege, with AddressSanitizer and UndefinedBehaviorSanitizer.
sanitize: deps ## run the unit tests with ASan and UBSan
	@cmake -S . -B $(BUILD)/sanitize -DCMAKE_BUILD_TYPE=Debug -DVISCUM_SANITIZE=ON > /dev/null
	@cmake --build $(BUILD)/sanitize -j $(JOBS) --target unit_tests
	@ctest --test-dir $(BUILD)/sanitize -L unit --output-on-failure

FUZZ_SECONDS ?= 300
fuzz: fuzzers ## fuzz all parsers, each for FUZZ_SECONDS
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run.sh $(BUILD) long

fuzz-short: fuzzers ## fuzz all parsers for a minute in all, the same each time
	@tests/fuzz/run.sh $(BUILD) short

fuzzers: deps
	@CC=clang CXX=clang++ cmake -S . -B $(BUILD)/fuzz -DCMAKE_BUILD_TYPE=Fuzz -DVISCUM_FUZZ=ON > /dev/null
	@cmake --build $(BUILD)/fuzz -j $(JOBS) --target fuzzers

deps: ## install what building and testing needs, where something is missing (root)
	@tests/support/install-packages.sh

bench-deps:
	@tests/support/install-packages.sh tests/bench/packages.txt

clean: ## remove the build
	@rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1 \t/p' Makefile

configure:
	@test -e $(BUILD)/CMakeCache.txt || cmake -S . -B $(BUILD) -DCMAKE_BUILD_TYPE=Release

need-root:
	@test "$$(id -u)" -eq 0 || { echo "This makes network namespaces, so it needs root: sudo make $(MAKECMDGOALS)"; exit 1; }
