#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A transfer beside curl: transfer.py TRANSFER_TOOL [--mib 1024] [--rounds 5] [--connections 8]

Both fetch one file from a server on this machine and know its SHA-256 at the end: transfer_tool
with so many connections, and as many curl processes with a range each, then sha256sum over the
parts. They run in turn; the ratio is taken round by round. Exit code 1 below --least (0.9).
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

SERVER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "hub" / "server.py"
MIB = 1 << 20


def processor_seconds():
    """Of all children that have ended: what a busy machine does not change."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ours(tool, url, size, sha256, folder, connections):
    target = folder / "ours"
    begin = time.monotonic()
    subprocess.run(
        [tool, "--url", url, "--size", str(size), "--sha256", sha256, "--to", str(target),
         "--workers", str(connections)],
        check=True, stdout=subprocess.DEVNULL,
    )
    seconds = time.monotonic() - begin
    target.unlink()
    return seconds


def curls(url, size, sha256, folder, connections):
    bounds = [size * i // connections for i in range(connections + 1)]
    parts = [folder / f"part-{i}" for i in range(connections)]
    begin = time.monotonic()
    running = [
        subprocess.Popen(["curl", "-sSfL", "-r", f"{first}-{last - 1}", "-o", str(part), url])
        for part, first, last in zip(parts, bounds, bounds[1:])
    ]
    if any(process.wait() for process in running):
        sys.exit("curl failed")
    hashing = time.monotonic()
    with subprocess.Popen(["cat", *map(str, parts)], stdout=subprocess.PIPE) as cat:
        said = subprocess.run(["sha256sum"], stdin=cat.stdout, check=True, capture_output=True)
    end = time.monotonic()
    if said.stdout.split()[0].decode() != sha256:
        sys.exit("curl brought something else")
    for part in parts:
        part.unlink()
    return end - begin, hashing - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tool")
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--least", type=float, default=0.9)
    given = parser.parse_args()
    size = given.mib * MIB
    with tempfile.TemporaryDirectory(prefix="omg-transfer-") as folder:
        folder = pathlib.Path(folder)
        model = folder / "root" / "org" / "model"
        model.mkdir(parents=True)
        with open(model / "model.gguf", "wb") as file:
            for _ in range(given.mib):
                file.write(os.urandom(MIB))
        done = subprocess.run(["sha256sum", str(model / "model.gguf")], check=True,
                              capture_output=True)
        sha256 = done.stdout.split()[0].decode()
        with subprocess.Popen([sys.executable, "-B", str(SERVER), str(folder / "root")],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            url = json.loads(server.stdout.readline())["url"]
            url += "/org/model/resolve/main/model.gguf"
            subprocess.run(["curl", "-sSfLo", os.devnull, "-r", "0-0", url], check=True)  # warm up
            ratios = []
            for number in range(given.rounds):
                spent = [processor_seconds()]
                mine = ours(given.tool, url, size, sha256, folder, given.connections)
                spent.append(processor_seconds())
                theirs, loading = curls(url, size, sha256, folder, given.connections)
                spent.append(processor_seconds())
                ratios.append(theirs / mine)
                print(f"round {number + 1}: transfer {given.mib / mine:.0f} MiB/s, curl and "
                      f"sha256sum {given.mib / theirs:.0f} MiB/s (curl alone "
                      f"{given.mib / loading:.0f}), ratio {ratios[-1]:.2f}; processor "
                      f"{spent[1] - spent[0]:.1f} s and {spent[2] - spent[1]:.1f} s", flush=True)
            server.stdin.close()
    ratio = statistics.median(ratios)
    print(f"{given.mib} MiB over {given.connections} connections: median {ratio:.2f} of curl and "
          f"sha256sum (from {min(ratios):.2f} to {max(ratios):.2f}); at least {given.least} wanted")
    return 0 if ratio >= given.least else 1


if __name__ == "__main__":
    sys.exit(main())
