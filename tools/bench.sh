#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Our own benchmarks in small: a few cases of each, and the speed of a small model, alone and with
# many users. Takes half a minute and shows that benchmarks still work; for figures that mean
# something run the programs in full, or bench/table.py.
# tools/bench.sh FOLDER (with the built programs)
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$1

step() { printf '\n== %s\n' "$*"; }

# What a program runs of itself here; all of it where nothing is said.
small() {
  case $1 in
    matmul_bench) echo 'peak|^quantize/[an]|pack/Q4_K$|/(avx.*|neon.*)/(Q4_K|F16)/.*/(4|16)$' ;;
    attention_bench) echo 'peak|48@2048' ;;
    quant_bench) echo '(Q4_K|Q8_0)' ;;
    *) echo . ;;
  esac
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

for program in "$bin"/*_bench; do
  name=${program##*/}
  step "$name"
  # What it says of the machine goes to standard error, and interests when something fails.
  if ! "$program" --benchmark_min_time=0.005 --benchmark_filter="$(small "$name")" \
    2>"$folder/errors"; then
    cat "$folder/errors" >&2
    exit 1
  fi
done

model=$folder/small.gguf
"$bin/make_model" --preset tiny-llama --type Q4_K_M "$model" >/dev/null
step omg bench
"$bin/omg" bench "$model" -p 128 -n 16 -d 0,512
"$bin/omg" bench "$model" -p 64 -n 16 -b 1,4,16
