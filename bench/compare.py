#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speeds of this project's binary beside those of llama.cpp's llama-bench, on the same files.

The programs run in turns (A B A B ...), one measurement each, so that drift of the machine's speed
meets all of them alike. The table has the median over the rounds, its range, and the ratio. On a
machine that others use meanwhile the ratio says nothing (programs whose threads wait for each other
by spinning lose most): where others took more than a few percent of the processors, a line says
that the figures are worthless, and the exit code is 3.

  bench/compare.py --omg build/release/bin/omg --llama-bench PATH/llama-bench \\
      --threads 2 --rounds 5 model.gguf
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys


MAX_OTHERS = 0.05  # share of all processors; a desktop at rest takes about 0.01


class MeasurementFailed(Exception):
    pass


def processor_seconds():
    """(busy, all) seconds of all processors since the system started; nothing if not known."""
    try:
        with open("/proc/stat", encoding="ascii") as stat:
            # user nice system idle iowait irq softirq steal; guest time is within user's
            ticks = [int(field) for field in stat.readline().split()[1:9]]
    except (OSError, ValueError):
        return None
    if len(ticks) < 8:
        return None
    hertz = os.sysconf("SC_CLK_TCK")
    return (sum(ticks) - ticks[3] - ticks[4]) / hertz, sum(ticks) / hertz


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class OthersWatch:
    """The largest share of the processors that others took during one measurement."""

    def __init__(self):
        self.worst = None

    def __enter__(self):
        self.start, self.own = processor_seconds(), children_seconds()
        return self

    def __exit__(self, *_):
        end = processor_seconds()
        if self.start is None or end is None or end[1] <= self.start[1]:
            return
        busy = end[0] - self.start[0] - (children_seconds() - self.own)
        share = max(0.0, busy / (end[1] - self.start[1]))
        self.worst = share if self.worst is None else max(self.worst, share)


def run_json(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise MeasurementFailed(f"cannot run {command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-5:]
        raise MeasurementFailed(
            f"{' '.join(command)} ended with {done.returncode}:\n  " + "\n  ".join(last)
        )
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        raise MeasurementFailed(f"{' '.join(command)} printed no JSON: {error}") from error


def omg_speeds(program, model, options):
    """Test name -> tokens per second, of one measurement."""
    command = [program, "bench", model, "-p", str(options.prompt), "-n", str(options.generate)]
    command += ["-t", str(options.threads), "-r", "1", "--json"]
    return {row["test"]: row["tokens_per_second"]["median"] for row in run_json(command)}


def llama_bench_speeds(program, model, options):
    command = [program, "-m", model, "-p", str(options.prompt), "-n", str(options.generate)]
    command += ["-t", str(options.threads), "-r", "1", "-o", "json"]
    speeds = {}
    for row in run_json(command):
        prompt, generated = row["n_prompt"], row["n_gen"]
        if prompt and generated:
            continue  # a combined test, which the other side has not
        speeds[f"pp{prompt}" if prompt else f"tg{generated}"] = row["avg_ts"]
    return speeds


def peer_name(path, taken):
    """The program's folder tells forks apart, since they are all called llama-bench."""
    parts = os.path.abspath(path).split(os.sep)
    for part in reversed(parts[:-1]):
        if part not in ("bin", "build", "build-release", "Release") and part not in taken:
            return part
    return path


def measure(model, programs, options, watch):
    """program name -> test -> speeds of all rounds"""
    samples = {name: {} for name, _, _ in programs}
    for number in range(options.rounds):
        for name, program, function in programs:
            print(f"round {number + 1} of {options.rounds}: {name}", file=sys.stderr)
            with watch:
                speeds = function(program, model, options)
            for test, speed in speeds.items():
                samples[name].setdefault(test, []).append(speed)
    return samples


def rows_of(samples):
    """Header and rows of the table; the first program is the one that the ratios are about."""
    names = list(samples)
    yield ["test"] + [f"{name} tok/s" for name in names] + [f"vs {name}" for name in names[1:]]
    for test, ours in samples[names[0]].items():
        row = [test]
        medians = {}
        for name in names:
            speeds = samples[name].get(test)
            if not speeds:
                row.append("-")
                continue
            medians[name] = statistics.median(speeds)
            row.append(f"{medians[name]:.2f} ({min(speeds):.2f}-{max(speeds):.2f})")
        for name in names[1:]:
            known = name in medians and medians[name] > 0
            row.append(f"{statistics.median(ours) / medians[name]:.2f}x" if known else "-")
        yield row


def print_table(samples):
    rows = list(rows_of(samples))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def verdict(watch):
    """Says how far the figures can be trusted; the exit code."""
    if watch.worst is None:
        print("\ncompare: whether others used the processors is not known here", file=sys.stderr)
        return 0
    if watch.worst <= MAX_OTHERS:
        return 0
    share = f"up to {watch.worst:.0%} of the processors"
    print(f"\nWORTHLESS: others used {share} during a measurement; run this on an idle machine",
          file=sys.stderr)
    return 3


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL.gguf")
    parser.add_argument("--omg", required=True, help="our binary")
    parser.add_argument(
        "--llama-bench", action="append", default=[], metavar="PATH", help="may be given again"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=64)
    parser.add_argument("--json", action="store_true", help="print all samples, not the table")
    options = parser.parse_args()
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads must be 1 or more")
    return options


def main():
    options = parse_arguments()
    programs = [("omg", options.omg, omg_speeds)]
    for path in options.llama_bench:
        name = peer_name(path, {known for known, _, _ in programs})
        programs.append((name, path, llama_bench_speeds))
    watch = OthersWatch()
    try:
        results = {model: measure(model, programs, options, watch) for model in options.models}
    except MeasurementFailed as failure:
        print(f"compare: {failure}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"others_share": watch.worst, "models": results}, indent=1))
        return verdict(watch)
    for model, samples in results.items():
        print(f"\n{os.path.basename(model)}, {options.threads} threads, {options.rounds} rounds\n")
        print_table(samples)
    return verdict(watch)


if __name__ == "__main__":
    sys.exit(main())
