#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speed of this project's tokenizer beside that of another program, on the same vocabularies.

Both programs are called as PROGRAM MODEL TEXT 1 and print {"bytes_per_second": [..], "tokens": n}
for one thread, without the time to load. They run in turns (A B A B ...), so that drift of the
machine's speed meets both alike. The table has the medians over the rounds, their ranges and the
ratio. Where the numbers of tokens differ the programs did not do the same work, and the exit code
is 1. Figures taken while others used the processors are marked as worthless (exit code 3).

  bench/compare_tokenizer.py --tokenizer-speed build/release/bin/tokenizer_speed \\
      --peer "PATH/peer_tokenize speed" --text english.txt --rounds 7 gpt-2.gguf llama-bpe.gguf
"""

import argparse
import os
import shlex
import statistics
import sys

from compare import MeasurementFailed, OthersWatch, run_json, verdict


def speed_of(command, model, text):
    """(bytes per second, tokens) of one measurement."""
    result = run_json([*command, model, text, "1"])
    try:
        return float(result["bytes_per_second"][0]), int(result["tokens"])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise MeasurementFailed(f"{' '.join(command)} printed something else: {result}") from error


def measure(model, commands, options, watch):
    """name -> speeds of all rounds; fails where the programs count different tokens."""
    samples = {name: [] for name in commands}
    counts = {}
    for number in range(options.rounds):
        for name, command in commands.items():
            print(f"round {number + 1} of {options.rounds}: {name}", file=sys.stderr)
            with watch:
                speed, counts[name] = speed_of(command, model, options.text)
            samples[name].append(speed)
    if len(set(counts.values())) != 1:
        raise MeasurementFailed(f"{model}: different numbers of tokens: {counts}")
    return samples, next(iter(counts.values()))


def cell(speeds):
    megabytes = [speed / 1e6 for speed in speeds]
    return f"{statistics.median(megabytes):.2f} ({min(megabytes):.2f}-{max(megabytes):.2f})"


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL.gguf")
    parser.add_argument("--tokenizer-speed", required=True, metavar="PATH", help="our program")
    parser.add_argument("--peer", required=True, metavar="COMMAND", help="may hold arguments")
    parser.add_argument("--text", required=True, metavar="FILE", help="what to encode")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    return options


def main():
    options = parse_arguments()
    commands = {"ohmygpu": [options.tokenizer_speed], "peer": shlex.split(options.peer)}
    watch = OthersWatch()
    rows = [["vocabulary", "tokens", "ohmygpu MB/s", "peer MB/s", "ratio"]]
    try:
        for model in options.models:
            samples, tokens = measure(model, commands, options, watch)
            ratio = statistics.median(samples["ohmygpu"]) / statistics.median(samples["peer"])
            name = os.path.splitext(os.path.basename(model))[0]
            rows.append([name, str(tokens), cell(samples["ohmygpu"]), cell(samples["peer"]),
                         f"{ratio:.1f}x"])
    except MeasurementFailed as failure:
        print(f"compare_tokenizer: {failure}", file=sys.stderr)
        return 1
    size = os.path.getsize(options.text) / 1e6
    print(f"\n{size:.1f} MB of text, one thread, medians of {options.rounds} rounds (range)\n")
    for number, row in enumerate(rows):
        print("| " + " | ".join(row) + " |")
        if number == 0:
            print("|" + "---|" * len(row))
    return verdict(watch)


if __name__ == "__main__":
    sys.exit(main())
