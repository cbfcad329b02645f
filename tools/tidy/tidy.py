#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the rules of the house that a machine can check: tidy.py ROOT

Each finding is one line, "file:line: what to do"; the exit code is 1 if there is any. The table of
allowed includes is read from src/README.md, so that the document and the check cannot differ.
"""

import pathlib
import re
import sys

MAX_LINES = 1000
MAX_COLUMNS = 100
CODE = {".cc", ".h"}
TESTS = ("_test.cc", "_fuzz.cc", "_bench.cc")
INTRINSICS = re.compile(r"#\s*include\s*<(immintrin|x86intrin|emmintrin|arm_neon)\.h>")
INCLUDE = re.compile(r'\s*#\s*include\s*"([^"]+)"')
TABLE_ROW = re.compile(r"^\|\s*`([a-z_/]+)/?`\s*\|(.*)\|\s*$")


def allowed_includes(root):
    """Folder -> folders it may include from, out of the table in src/README.md."""
    allowed = {}
    for line in (root / "src/README.md").read_text(encoding="utf-8").splitlines():
        row = TABLE_ROW.match(line)
        if row:
            last_cell = row.group(2).split("|")[-1]
            folders = {name.rstrip("/") for name in re.findall(r"`([a-z_/]+)`", last_cell)}
            allowed[row.group(1).rstrip("/")] = folders
    return allowed


def folder_of(path, folders):
    """The longest folder of the table that `path` (relative to src/) lies in."""
    matches = [f for f in folders if path == f or path.startswith(f + "/")]
    return max(matches, key=len) if matches else None


def stands_above(target, source, allowed):
    """Whether `target` comes before `source` in the flow, which is the order of the table."""
    order = list(allowed)
    return order.index(target) < order.index(source)


def check_includes(relative, number, line, allowed):
    match = INCLUDE.match(line)
    if not match or not relative.startswith("src/"):
        return
    if relative.endswith(TESTS) and match.group(1).startswith("tools/"):
        return  # tests may make their models
    source = folder_of(relative[len("src/") :], allowed)
    target = folder_of(match.group(1), allowed)
    if source is None:
        yield f"{relative}:{number}: this folder is not in the table of src/README.md; add it"
    elif target is None:
        yield f"{relative}:{number}: '{match.group(1)}' is in no folder of src/README.md's table"
    elif relative.endswith(TESTS) and stands_above(target, source, allowed):
        return  # tests may bring real files and other earlier stages
    elif target != source and target not in allowed[source]:
        yield (
            f"{relative}:{number}: {source}/ may not include from {target}/ "
            "(src/README.md says which way data flows); move the code or change the design"
        )


def may_hold_intrinsics(relative):
    """Vector code has one place; benchmarks measure the machine's peaks with it too."""
    return relative.startswith("src/engine/cpu/") or relative.endswith("_bench.cc")


def check_file(root, path, allowed):
    relative = path.relative_to(root).as_posix()
    lines = path.read_text(encoding="utf-8").splitlines()
    generated = ".gen." in path.name
    if len(lines) > MAX_LINES and not generated:
        yield f"{relative}:{MAX_LINES}: {len(lines)} lines; split the file by subject"
    if path.suffix in CODE:
        if not lines or not lines[0].startswith("// SPDX-License-Identifier: Apache-2.0"):
            yield f"{relative}:1: the first line must be '// SPDX-License-Identifier: Apache-2.0'"
        if path.suffix == ".h" and not path.name.endswith("-inl.h"):
            if "#pragma once" not in lines:
                yield f"{relative}:1: a header needs '#pragma once'"
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_COLUMNS and not generated:
            yield f"{relative}:{number}: {len(line)} columns, at most {MAX_COLUMNS}; break the line"
        if path.suffix in CODE:
            yield from check_includes(relative, number, line, allowed)
            if INTRINSICS.match(line) and not may_hold_intrinsics(relative):
                yield f"{relative}:{number}: intrinsics belong in src/engine/cpu/"


def check_built(root, paths):
    """Every test, fuzzer and benchmark is named by a CMakeLists.txt of its folder or above it."""
    for path in paths:
        if not path.name.endswith(TESTS):
            continue
        folder = path.parent
        while True:
            lists = folder / "CMakeLists.txt"
            name = path.relative_to(folder).as_posix()
            if lists.exists() and re.search(rf"(^|[\s(/]){re.escape(name)}\b", lists.read_text()):
                break
            # A list beside the folder may name it through "..".
            sibling = re.compile(rf"\.\./{re.escape(path.parent.name)}/{re.escape(path.name)}\b")
            lists_beside = path.parent.parent.glob("*/CMakeLists.txt")
            if any(sibling.search(other.read_text()) for other in lists_beside):
                break
            if folder == root:
                yield f"{path.relative_to(root).as_posix()}:1: no CMakeLists.txt builds this file"
                break
            folder = folder.parent


def find_files(root):
    skipped = {"build", ".git", "node_modules", ".cache"}
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if not path.is_file() or skipped & set(parts):
            continue
        if path.suffix in CODE | {".py", ".sh", ".cmake"} or path.name == "CMakeLists.txt":
            yield path


def check(root):
    allowed = allowed_includes(root)
    if not allowed:
        yield "src/README.md:1: there is no table of allowed includes"
        return
    paths = list(find_files(root))
    for path in paths:
        yield from check_file(root, path, allowed)
    yield from check_built(root, paths)


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    findings = list(check(pathlib.Path(sys.argv[1]).resolve()))
    for finding in findings:
        print(finding)
    print(f"tidy: {len(findings)} findings" if findings else "tidy: all well", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
