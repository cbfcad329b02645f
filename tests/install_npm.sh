#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs published JavaScript packages, as a lock file says, into a folder of the build, and
# beside them the scripts that use them: install_npm.sh SOURCE_FOLDER INSTALL_FOLDER. Installs
# nothing when all is there. Without npm, or with no registry in reach, it says so and the tests
# that need them skip; not so under CI.
set -euo pipefail
source=$1
folder=$2

give_up() {
  echo "$folder: $1; tests with published clients will skip" >&2
  [ -z "${CI:-}" ] || exit 1
  exit 0
}

mkdir -p "$folder"
exec 9>"$folder/lock" # several builds' tests may come here at once
flock 9
cp "$source"/*.mjs "$folder/"
cmp -s "$source/package-lock.json" "$folder/installed-lock.json" && exit 0
command -v npm >/dev/null || give_up "there is no npm"
cp "$source/package.json" "$source/package-lock.json" "$folder/"
npm ci --prefix "$folder" --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error \
  >"$folder/npm.log" 2>&1 || give_up "npm ci failed: $(tail -n 3 "$folder/npm.log")"
cp "$source/package-lock.json" "$folder/installed-lock.json"
