#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Configures (once) and builds a preset, or some of its targets:
# tools/build.sh release|debug|asan|tsan [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
shift
if [ ! -f "build/$preset/build.ninja" ]; then
  echo "== configuring $preset"
  if ! log=$(cmake --preset "$preset" 2>&1); then
    printf '%s\n' "$log" >&2
    exit 1
  fi
fi
echo "== building $preset"
cmake --build --preset "$preset" ${1:+--target "$@"}
