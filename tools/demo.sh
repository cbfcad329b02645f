#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Shows the main job in a minute: what the machine is, what the model is, and text as it comes.
# tools/demo.sh [MODEL [PROMPT]]; without a model the one that is built in, which needs no network,
# and at a terminal a chat with it at the end. OMG names another build of the program.
set -euo pipefail
cd "$(dirname "$0")/.."
omg=${OMG:-build/release/bin/omg}
model=${1:-guide}
prompt=${2:-}

if [[ $model == *.gguf && ! -f $model ]]; then
  echo "demo: there is no file $model" >&2
  exit 1
fi

bold='' plain=''
if [ -t 1 ]; then
  bold=$'\033[1m' plain=$'\033[0m'
fi
# title COMMAND ARGUMENTS...: as somebody would type it.
title() {
  local word line="omg"
  for word in "$@"; do
    [[ $word == *[^A-Za-z0-9_./:=-]* ]] && word="\"$word\""
    line+=" $word"
  done
  printf '\n%s$ %s%s\n' "$bold" "$line" "$plain"
}
# The same, and what it says.
show() {
  title "$@"
  "$omg" "$@" </dev/null
}

export OMG_DIRECT=1 # no daemon is left behind
show info
show show "$model"
if [ "$model" = guide ] && [ -z "$prompt" ]; then
  show run guide "How do I pull a model?"
  show run guide "What is a chat template?"
  show run guide "Tell me a story about a dragon." --verbose
  if [ -t 0 ] && [ -t 1 ]; then
    title run guide
    exec "$omg" run guide
  fi
elif "$omg" show "$model" --template >/dev/null 2>&1; then
  show run "$model" "${prompt:-Why is the sky blue?}" --verbose --max-tokens 200
else
  show generate "$model" "${prompt:-Once upon a time}" --raw --verbose --temperature 0 \
    --max-tokens 200
fi
