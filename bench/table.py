#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of bench/README.md, as Markdown: this project beside other engines, in every case that
is promised. Each figure comes from `omg bench --compare`, which runs the engines in turns.

  bench/table.py --threads 2 --rounds 5 \\
      --peer llama.cpp/build/bin/llama-bench --peer ik_llama.cpp/build/bin/llama-bench \\
      --avx2-peer llama.cpp/build-avx2/bin/llama-bench > table.md

Model files of random weights are made once, in --models; all of them take 10 GB. On a machine that
does other things the table is printed all the same, but says so, and the exit code is 1.
"""

import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TYPES = ["Q4_K_M", "Q4_0", "Q8_0", "F16", "BF16"]
MOST_BY_OTHERS = 0.05  # of the processors; as omg bench has it


class Failed(Exception):
    pass


def say(text):
    print(text, file=sys.stderr, flush=True)


class Bench:
    """Runs omg bench, and remembers what is to be told about all runs together."""

    def __init__(self, options):
        self.options = options
        self.others_share = 0.0
        self.remarks = []
        self.isa = ""

    def run(self, title, model, arguments, peers, rounds, isa=None):
        """Rows of its JSON. A peer that fails is left out, with a remark."""
        peers = list(peers)
        while True:
            say(f"{title}: {' '.join(arguments)}" + (f" beside {len(peers)}" if peers else ""))
            command = [self.options.omg, "bench", str(model), *arguments]
            command += ["-t", str(self.options.threads), "-r", str(rounds), "--json"]
            for peer in peers:
                command += ["--compare", peer]
            environment = dict(os.environ)
            if isa:
                environment["OMG_CPU_ISA"] = isa
            done = subprocess.run(command, capture_output=True, text=True, env=environment,
                                  check=False)
            try:
                rows = json.loads(done.stdout)
            except ValueError:
                rows = None
            if rows:
                break
            message = done.stderr.strip()
            guilty = [peer for peer in peers if os.path.dirname(peer) in message]
            if not guilty:
                raise Failed(f"{' '.join(command)} ended with {done.returncode}: {message}")
            self.remarks.append(f"{title}: left out, {message.removeprefix('Error: ')}")
            peers.remove(guilty[0])
        self.others_share = max([self.others_share] + [row["others_share"] for row in rows])
        return rows

    def model(self, kind):
        """The file with weights of this kind; made if it is not there."""
        path = self.options.models / f"{self.options.preset}-{kind}.gguf"
        if not path.exists():
            say(f"making {path}")
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            done = subprocess.run(
                [self.options.make_model, "--preset", self.options.preset, "--type", kind,
                 str(part)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                check=False)
            if done.returncode != 0:
                raise Failed(f"{self.options.make_model}: {done.stderr.strip()}")
            part.rename(path)
        return path


def speeds(samples):
    def text(value):
        return f"{value:.0f}" if value >= 100 else f"{value:.1f}"

    if not samples:
        return "–"
    middle = text(statistics.median(samples))
    if len(samples) == 1:
        return middle
    return f"{middle} ({text(min(samples))}–{text(max(samples))})"


def markdown(heading, rows):
    lines = ["| " + " | ".join(heading) + " |", "|" + "---|" * len(heading)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def comparison(cases):
    """A table of (label, rows of omg bench) pairs; a column for every peer in any of them."""
    names = []
    for _, rows in cases:
        for row in rows:
            names += [peer["name"] for peer in row.get("peers", []) if peer["name"] not in names]
    heading = ["tokens/s", "ohmygpu"]
    for name in names:
        heading += [name, "ratio"]
    heading.append("of memory")
    table = []
    for label, rows in cases:
        for row in rows:
            cells = [f"{label} {row['test']}".strip(), speeds(row["samples"])]
            peers = {peer["name"]: peer for peer in row.get("peers", [])}
            for name in names:
                peer = peers.get(name, {"samples": [], "ratio": None})
                cells.append(speeds(peer["samples"]))
                cells.append("–" if peer["ratio"] is None else f"**{peer['ratio']:.2f}**")
            share = row.get("memory_share")
            cells.append("–" if share is None else f"{share:.0%}")
            table.append(cells)
    return markdown(heading, table)


def types_section(bench, kinds, peers, isa=None):
    cases = []
    for kind in kinds:
        arguments = ["-p", "512", "-n", "64"]
        rows = bench.run(f"{isa or ''} {kind}".strip(), bench.model(kind), arguments, peers,
                         bench.options.rounds, isa)
        bench.isa = bench.isa or rows[0]["isa"]
        cases.append((kind, rows))
    return comparison(cases)


def long_section(bench, peers):
    model = bench.model("Q4_K_M")
    rounds = min(bench.options.rounds, 3)  # they take minutes each
    rows = bench.run("long prompts", model, ["-p", "4096,16384", "-n", "0"], peers, rounds)
    rows += bench.run("long context", model, ["-p", "0", "-n", "64", "-d", "8192"], peers, rounds)
    return comparison([("Q4_K_M", rows)])


def users_section(bench, users, peers):
    arguments = ["-p", "128", "-n", "64", "-b", ",".join(map(str, users))]
    rows = bench.run("users", bench.model("Q4_K_M"), arguments, peers, bench.options.rounds)
    return comparison([("Q4_K_M", rows)])


def memory_section(bench, kinds):
    """Loading is our own promise: alone, because a peer's memory does not matter to it."""
    table = []
    for kind in kinds:
        runs = [bench.run(f"load {kind}", bench.model(kind), ["-p", "512", "-n", "8"], [], 1)[0]
                for _ in range(bench.options.rounds)]
        loads = sorted(run["load_seconds"] for run in runs)
        peak = max(run["peak_resident_bytes"] for run in runs)
        known = runs[0]["weights_bytes"] + runs[0]["kv_bytes"]
        mib = [f"{value / 2**20:.0f} MiB"
               for value in (runs[0]["weights_bytes"], runs[0]["kv_bytes"], peak, peak - known)]
        table.append([kind, ", ".join(f"{seconds:.2f}" for seconds in loads) + " s", *mib])
    return markdown(["type", "load, page cache warm", "weights", "KV cache", "peak memory",
                     "beyond weights and cache"], table)


PARTS = ["types", "long", "users", "avx2", "memory"]


def sections(bench):
    options = bench.options
    quick = options.quick
    kinds = TYPES[:1] if quick else TYPES
    wanted = options.part or [part for part in PARTS if not (quick and part == "long")]
    if "types" in wanted:
        yield "Weight types", types_section(bench, kinds, options.peer)
    if "long" in wanted:
        yield "Long prompts and long contexts", long_section(bench, options.peer)
    if "users" in wanted:
        yield "Users at once, a prompt of 128 and 64 tokens each", users_section(
            bench, [1, 4] if quick else [1, 4, 8, 16], options.peer)
    if "avx2" in wanted and options.avx2_peer:
        yield "AVX2 (`OMG_CPU_ISA=avx2`, peer built for AVX2)", types_section(
            bench, kinds, options.avx2_peer, "avx2")
    if "memory" in wanted:
        yield "Loading and memory", memory_section(bench, kinds)


def machine(bench):
    info = json.loads(subprocess.run([bench.options.omg, "info", "--json"], capture_output=True,
                                     text=True, check=True).stdout)
    return info["cpu"]["name"] or "unknown processor"


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    release = ROOT / "build" / "release" / "bin"
    parser.add_argument("--peer", action="append", default=[], metavar="PATH",
                        help="a llama-bench, with its llama-batched-bench beside it; repeatable")
    parser.add_argument("--avx2-peer", action="append", default=[], metavar="PATH",
                        help="one that was built for AVX2, for that part; repeatable")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--part", action="append", choices=PARTS,
                        help="only this part of the table; repeatable")
    parser.add_argument("--quick", action="store_true", help="a small part of it, to see it work")
    parser.add_argument("--preset", default="llama-3.2-1b", help="shape, as make_model has them")
    parser.add_argument("--models", type=pathlib.Path, default=ROOT / "build" / "bench-models",
                        help="folder for the model files (build/bench-models)")
    parser.add_argument("--omg", default=str(release / "omg"))
    parser.add_argument("--make-model", default=str(release / "make_model"))
    options = parser.parse_args()
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads must be 1 or more")
    return options


def main():
    bench = Bench(parse_arguments())
    options = bench.options
    try:
        parts = list(sections(bench))
        processor = machine(bench)
    except (Failed, OSError, subprocess.CalledProcessError) as failure:
        print(f"table: {failure}", file=sys.stderr)
        return 1
    quiet = bench.others_share <= MOST_BY_OTHERS
    if not quiet:
        print(f"**WORTHLESS**: others used up to {bench.others_share:.0%} of the processors during "
              "a measurement.\n")
    print(f"{datetime.date.today()}, {options.preset} with random weights on {processor}, "
          f"{options.threads} threads, {bench.isa}; medians of {options.rounds} rounds in turns, "
          "ranges in brackets.")
    for title, table in parts:
        print(f"\n### {title}\n\n{table}")
    for number, remark in enumerate(bench.remarks):
        print(("\n" if number == 0 else "") + f"- {remark}")
    if not quiet:
        say(f"table: WORTHLESS, others used up to {bench.others_share:.0%} of the processors "
            "during a measurement; run this on an idle machine")
    return 0 if quiet else 1


if __name__ == "__main__":
    sys.exit(main())
