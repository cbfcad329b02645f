#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Shows the main job on a real file: what the machine is, what the model is, and text as it comes.
# tools/demo.sh [MODEL [PROMPT]]; with no model it takes the small trained one of the reference data
# if that stands beside the project, else a random one that it makes.
set -euo pipefail
cd "$(dirname "$0")/.."
omg=build/release/bin/omg
model=${1:-}
prompt=${2:-}

step() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }

if [ -n "$model" ] && [ ! -f "$model" ]; then
  echo "demo: there is no file $model" >&2
  exit 1
fi
stories=../shared/reference/models/stories260K.gguf
if [ -z "$model" ] && [ -f "$stories" ]; then
  model=$stories
  prompt=${prompt:-Once upon a time}
elif [ -z "$model" ]; then
  model=build/demo.gguf
  if [ ! -f "$model" ]; then
    echo "demo: making a small model with random weights (its text means nothing) at $model"
    build/release/bin/make_model --preset tiny-llama --type Q4_K_M "$model"
  fi
fi
prompt=${prompt:-Why is the sky blue?}

step omg info
"$omg" info
step omg show "$model"
"$omg" show "$model"
if "$omg" show "$model" --template >/dev/null 2>&1; then
  step omg run "$model" "'$prompt'" --verbose
  "$omg" run "$model" "$prompt" --verbose --max-tokens 200
else
  step omg generate "$model" "'$prompt'" --raw --verbose
  "$omg" generate "$model" "$prompt" --raw --verbose --temperature 0 --max-tokens 200
fi
