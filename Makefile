# The front door: each target does everything it needs on a fresh Debian or Ubuntu machine.
#
#   make                     build build/release/bin/ohmygpu (and its short name omg)
#   make demo [MODEL=x.gguf] [PROMPT="..."]   see it work: the built-in model, or yours
#   make test                all tests: release, with sanitizers, and the fuzzers for a while
#   make bench               our own benchmarks in small; bench/README.md has the comparisons
#   make format              format the code
#   make tidy                check the rules of the house

SHELL := /bin/bash
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 10

.PHONY: all setup build demo test test-release test-asan test-tsan test-neon test-fuzz bench format tidy clean

all: build

setup:
	@tools/setup.sh

build: setup
	@tools/build.sh release

demo: setup
	@tools/build.sh release ohmygpu
	@tools/demo.sh "$(MODEL)" "$(PROMPT)"

test: test-release test-asan test-tsan test-neon test-fuzz
	@echo "== all tests passed"

test-release: setup
	@tools/build.sh release
	@echo "== tests, release build"
	@ctest --preset release -j $(JOBS) --no-tests=error

# The release build has run all tests. Here and below, what takes long or checks figures is left
# out.
test-asan: setup
	@tools/build.sh asan
	@echo "== tests under address and undefined-behaviour sanitizers"
	@GTEST_FILTER='-*EngineReferenceTest*/scalar:*LayerError*' \
	  ctest --preset asan -j $(JOBS) -LE figures --no-tests=error

# The sanitizer of threads matters where there are threads: tests that carry this label.
test-tsan: setup
	@tools/build.sh tsan threads_tests
	@echo "== tests under the thread sanitizer"
	@GTEST_FILTER='-*EngineReferenceTest*:*LayerError*:KvTypesTest*:*phi*:*gemma3:*qwen2' \
	  TSAN_OPTIONS=suppressions=$(CURDIR)/tests/tsan_suppressions.txt \
	  ctest --preset tsan -j 1 -L threads --no-tests=error

# Kernels for other processors than this one: cross-compiled, under an emulator.
test-neon: setup
	@echo "== kernels for AArch64, emulated"
	@tests/neon/run.sh

# The fuzzers are part of the sanitizers' build: what they need is compiled once.
test-fuzz: setup
	@tools/build.sh asan fuzzers
	@tools/fuzz.sh $(FUZZ_SECONDS)

bench: build
	@tools/bench.sh build/release/bin

format: setup
	@git ls-files '*.cc' '*.h' | xargs clang-format-19 -i

tidy: setup
	@python3 tools/tidy/tidy.py .

clean:
	@rm -rf build
