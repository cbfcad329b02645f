#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Records docs/first-minute.svg: types session.txt at a real shell with the built program and an
empty home, and draws what the terminal showed.

    /usr/bin/python3 tools/record/record.py [--binary build/release/bin/ohmygpu]

Needs Debian's python3-pyte. Run it again when the built-in model or what `omg` says has changed;
record_test.py notices the first.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COLUMNS, ROWS = 92, 400
TITLE = "A first minute with OhMyGPU: omg alone, a chat with the built-in model, and the daemon"


def session(port):
    """(prompt, what is typed at it) for each line."""
    text = (HERE / "session.txt").read_text(encoding="utf-8").replace("PORT", str(port))
    return re.findall(r"^(\$ |>>> )(.+)$", text, re.M)


def environment(home, binary, port):
    binaries = home / ".bin"
    binaries.mkdir()
    (binaries / "omg").symlink_to(binary)
    return {
        "HOME": str(home), "XDG_RUNTIME_DIR": str(home / ".run"), "OMG_PORT": str(port),
        "PATH": f"{binaries}:/usr/local/bin:/usr/bin:/bin", "TERM": "xterm-256color",
        "LC_ALL": "C.UTF-8", "INPUTRC": "/dev/null", "HISTFILE": "",
        "PS1": r"\n\[\e[32m\]$\[\e[0m\] "}


def record(binary, port):
    """The terminal after the session, without the prompt that came last. No daemon stays behind."""
    from terminal import Terminal

    with tempfile.TemporaryDirectory(prefix="omg-r-") as folder:
        home = pathlib.Path(folder)
        (home / ".run").mkdir(mode=0o700)
        variables = environment(home, binary, port)
        terminal = Terminal(COLUMNS, ROWS, variables, home)
        try:
            for prompt, text in session(port):
                terminal.wait_for(prompt)
                terminal.type(text)
            terminal.wait_for("$ ")
        finally:
            terminal.close()
            # The session ends the daemon itself, where it came so far.
            subprocess.run([binary, "serve", "stop"], env=variables, capture_output=True)
        terminal.erase_line()
        return terminal


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/release/bin/ohmygpu")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs/first-minute.svg")
    parser.add_argument("--port", type=int, default=11434, help="the daemon's; must be free")
    options = parser.parse_args()
    import svg

    terminal = record(options.binary.resolve(), options.port)
    options.out.write_text(svg.draw(terminal.screen, terminal.seen_s, TITLE), encoding="utf-8")
    print("\n".join(line.rstrip() for line in terminal.screen.display).rstrip())
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
