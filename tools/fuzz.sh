#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs every fuzzer that was built for some seconds, starting from the inputs kept for it in fuzz/
# and from those that earlier runs found: tools/fuzz.sh SECONDS
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1
shopt -s nullglob
fuzzers=(build/asan/bin/*_fuzz)
if [ ${#fuzzers[@]} -eq 0 ]; then
  echo "fuzz: no fuzzers are built; run tools/build.sh asan fuzzers" >&2
  exit 1
fi
# Side by side, as many as there are processors: they do not share anything.
run() {
  local program=$1
  local name=${program##*/}
  local results=build/asan/fuzz
  local found=$results/$name
  mkdir -p "$found"
  local seeds=()
  [ -d "fuzz/$name" ] && seeds=("fuzz/$name")
  if ! "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$results/$name-" "$found" "${seeds[@]}" >"$results/$name.log" 2>&1; then
    tail -n 60 "$results/$name.log" >&2
    echo "fuzz: $name FAILED; the input is $results/$name-*" >&2
    return 1
  fi
  local inputs
  inputs=$(awk '/number_of_executed_units/ {print $2}' "$results/$name.log")
  echo "fuzz: $name passed, $inputs inputs"
}
export -f run
export seconds
echo "== fuzzing, $seconds seconds each"
printf '%s\n' "${fuzzers[@]}" | xargs -P "$(nproc)" -I{} bash -c 'run {}'
