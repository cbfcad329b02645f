#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares this engine's logits with another implementation's, on models made for it.

For each family, made models in many shapes and weight types go through both programs, and the
normalised mean squared error of the last logits is printed. The peer is a program that takes
MODEL N_TOKENS N_LAST and prints {"tokens": [...], "positions": [...], "logits": [[...], ...]};
ours is given the tokens that the peer names.

  tools/cross_check.py --bin build/release/bin --peer PATH/peer_logits [--only SUBSTRING]

Exit code 1 if any case disagrees or cannot run.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

TOKENS = 100
LAST = 2
# The peer looks GELU up in a table of binary16 numbers, so its families come less close.
GELU_FAMILIES = ("gemma2", "gemma3", "phi2")
EXACT_LIMIT = 1e-8
GELU_LIMIT = 1e-6
# Below F32 the peer rounds activations too (to 16 bits, or 8 for quantised weights) and ours are
# kept exact here, so what is seen is its rounding: in these models up to 5e-7 for F16, 4e-5 for
# BF16 and 1.3e-3 for the rest. The limits are a few times that, and well below an error of
# substance: the wrong table of rope factors, in one model, gives 2e-2.
ROUNDED_LIMITS = {"F16": 2e-6, "BF16": 1e-4}
QUANTISED_LIMIT = 4e-3
TYPES = ("F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K_M", "Q4_K_M",
         "Q5_K_M", "Q6_K", "IQ4_NL", "IQ4_XS")

# Shapes: name -> family preset and options, all F32.
SHAPES = {
    "llama-as-it-is": ("tiny-llama", ""),
    "llama-one-kv-head": ("tiny-llama", "--kv-heads 1"),
    "llama-all-kv-heads": ("tiny-llama", "--kv-heads 4"),
    "llama-odd-head-size": ("tiny-llama", "--embedding 240 --heads 4 --head-size 60 --ffn 352"),
    "llama-wide-heads": ("tiny-llama", "--head-size 96"),
    "llama-three-heads": ("tiny-llama", "--embedding 192 --heads 3 --kv-heads 3"),
    "llama-tied": ("tiny-llama", "--tied"),
    "llama-five-layers": ("tiny-llama", "--layers 5 --ffn 1376"),
    "llama-spm": ("tiny-llama", "--tokenizer spm --vocab 1003"),
    "mixtral-as-it-is": ("tiny-mixtral", ""),
    "mixtral-eight-experts": ("tiny-mixtral", "--experts 8"),
    "mixtral-three-used": ("tiny-mixtral", "--experts 8 --experts-used 3"),
    "mixtral-one-used": ("tiny-mixtral", "--experts-used 1"),
    "qwen2-as-it-is": ("tiny-qwen2", ""),
    "qwen2-untied": ("tiny-qwen2", "--untied"),
    "qwen2-seven-heads": ("tiny-qwen2", "--embedding 448 --heads 7 --kv-heads 1"),
    "qwen3-as-it-is": ("tiny-qwen3", ""),
    "qwen3-wide-heads": ("tiny-qwen3", "--head-size 128"),
    "qwen3-untied": ("tiny-qwen3", "--untied --kv-heads 8"),
    "qwen3moe-as-it-is": ("tiny-qwen3moe", ""),
    "qwen3moe-many": ("tiny-qwen3moe", "--experts 16 --experts-used 8 --expert-ffn 96"),
    "gemma2-as-it-is": ("tiny-gemma2", ""),
    "gemma2-wide-window": ("tiny-gemma2", "--window 4096"),
    "gemma2-narrow-window": ("tiny-gemma2", "--window 7 --layers 5"),
    "gemma2-head-256": ("tiny-gemma2", "--head-size 256 --kv-heads 1"),
    "gemma3-as-it-is": ("tiny-gemma3", ""),
    "gemma3-thirteen-layers": ("tiny-gemma3", "--layers 13 --window 16"),
    "gemma3-four-heads": ("tiny-gemma3", "--heads 4 --kv-heads 2 --head-size 64"),
    "phi2-as-it-is": ("tiny-phi2", ""),
    "phi2-other-rotation": ("tiny-phi2", "--rope-dimensions 24 --layers 3"),
    "phi2-two-heads": ("tiny-phi2", "--heads 2"),
    "phi3-as-it-is": ("tiny-phi3", ""),
    "phi3-kv-heads": ("tiny-phi3", "--kv-heads 4"),
    "phi3-short-context": ("tiny-phi3", "--context 512"),
    "phi3-untied-wide": ("tiny-phi3", "--embedding 384 --heads 6 --kv-heads 2 --ffn 768"),
}


class CaseFailed(Exception):
    pass


def run(command, timeout=300):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise CaseFailed(f"{command[0]} did not end in {timeout} s") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["(no message)"])[-1]
        raise CaseFailed(f"{pathlib.Path(command[0]).name} ended with {done.returncode}: {last}")
    return done.stdout


def normalised_error(ours, theirs):
    """Sum of squared differences over the sum of squares of the peer's logits."""
    if [len(row) for row in ours] != [len(row) for row in theirs]:
        raise CaseFailed("the two programs printed different numbers of logits")
    difference = square = 0.0
    for a_row, b_row in zip(ours, theirs):
        for a, b in zip(a_row, b_row):
            difference += (a - b) ** 2
            square += b * b
    if not math.isfinite(difference) or not square > 0:
        raise CaseFailed("logits are not numbers, or all zero")
    return difference / square


def compare(options, preset, extra, weight_type, folder, context):
    model = str(pathlib.Path(folder) / "model.gguf")
    make = [f"{options.bin}/make_model", "--preset", preset, "--type", weight_type, *extra.split()]
    run([*make, model])
    theirs = json.loads(run([options.peer, model, str(TOKENS), str(LAST)]))
    tokens = ",".join(map(str, theirs["tokens"]))
    command = [f"{options.bin}/omg", "logits", model, "--tokens", tokens, "--last", str(LAST)]
    ours = json.loads(run([*command, "--ctx", str(context)]))
    return normalised_error(ours["logits"], theirs["logits"])


def cases():
    """(name, preset, make_model options, weight type, limit)"""
    for name, (preset, extra) in SHAPES.items():
        family = preset.removeprefix("tiny-")
        yield name, preset, extra, "F32", GELU_LIMIT if family in GELU_FAMILIES else EXACT_LIMIT
    for family in ("llama", "mixtral", "qwen2", "qwen3moe", "gemma3", "phi3"):
        for weight_type in TYPES:
            limit = ROUNDED_LIMITS.get(weight_type, QUANTISED_LIMIT)
            yield f"{family}-{weight_type}", f"tiny-{family}", "", weight_type, limit


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bin", required=True, help="folder of omg and make_model")
    parser.add_argument("--peer", required=True, help="the other implementation's program")
    parser.add_argument("--only", default="", metavar="SUBSTRING", help="cases to run")
    parser.add_argument("--context", type=int, default=512, help="the context that the peer uses")
    options = parser.parse_args()
    counts = {"agree": 0, "DISAGREE": 0, "FAILED": 0}
    with tempfile.TemporaryDirectory() as folder:
        for name, preset, extra, weight_type, limit in cases():
            if options.only not in name:
                continue
            try:
                error = compare(options, preset, extra, weight_type, folder, options.context)
                verdict = "agree" if error <= limit else "DISAGREE"
                print(f"{verdict:9} {name:26} nmse {error:.2e}  (at most {limit:.0e})", flush=True)
            except CaseFailed as failure:
                verdict = "FAILED"
                print(f"{verdict:9} {name:26} {failure}", flush=True)
            counts[verdict] += 1
    print(", ".join(f"{count} {verdict.lower()}" for verdict, count in counts.items()))
    if sum(counts.values()) == 0:
        print(f"cross_check: no case has '{options.only}' in its name", file=sys.stderr)
        return 1
    return 0 if counts["agree"] == sum(counts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
