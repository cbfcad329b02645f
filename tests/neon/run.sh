#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Cross-compiles the kernels' tests for AArch64 and runs them on three emulated processors: with
# I8MM, with DotProd only, and with neither. Checks first that each offers the sets it should.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=build/neon
[ -f "$build/build.ninja" ] || cmake -G Ninja -S tests/neon -B "$build" >/dev/null
cmake --build "$build" --target kernels_test
program=$build/bin/kernels_test

# run CPU "SETS" FILTER...
run() {
  local cpu=$1 sets=$2 filter=$3 found
  found=$(qemu-aarch64 -cpu "$cpu" "$program" --gtest_list_tests |
    sed -n 's/^  RowsComeBackAsDequantised\/\(.*\)_F32 .*/\1/p' | tr '\n' ' ')
  if [ "$found" != "$sets scalar " ]; then
    echo "on $cpu the kernels offer '$found', expected '$sets scalar '" >&2
    return 1
  fi
  echo "== $cpu: $sets"
  qemu-aarch64 -cpu "$cpu" "$program" --gtest_brief=1 --gtest_filter="$filter"
}

# One set in full; of the others what is particular to them.
floats="*_F32:*_F16:*_BF16"
some() { echo "*Agrees*/$1_*:*AResultDoes*/$1_*:*ExtremeCodes*/$1_*"; }
run max "neon_i8mm neon_dotprod neon" "Isa*:*/neon_i8mm*"
run neoverse-n1 "neon_dotprod neon" "Isa*:$(some neon_dotprod)-$floats"
run cortex-a72 "neon" "Isa*:$(some neon):*VectorTest*/neon*:*AttentionTest*/neon*-$floats"
