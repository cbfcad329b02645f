# SPDX-License-Identifier: Apache-2.0
"""What all end-to-end tests share: the binary, real files, and the ways to drive a command.

The environment names the build: OMG_BINARY (build/release/bin/ohmygpu) and OMG_REFERENCE_DIR
(reference data, may be absent). Without the reference data tests take real text from the model that
is built in, and models that make_model writes.
"""

import fcntl
import json
import os
import pathlib
import pty
import re
import select
import struct
import subprocess
import tempfile
import termios
import time
import unittest

BINARY = pathlib.Path(os.environ["OMG_BINARY"])
REFERENCE = pathlib.Path(os.environ.get("OMG_REFERENCE_DIR", "/nonexistent"))
MAKE_MODEL = BINARY.parent / "make_model"
STORIES = REFERENCE / "models" / "stories260K.gguf"
GUIDE = pathlib.Path(__file__).resolve().parents[2] / "models" / "guide" / "guide.gguf"
# Sanitizers slow everything down several times, and the machine may be busy.
TIMEOUT = float(os.environ.get("OMG_E2E_TIMEOUT", "120"))

needs_reference = unittest.skipUnless(REFERENCE.is_dir(), f"no reference data at {REFERENCE}")

_folder = tempfile.TemporaryDirectory(prefix="omg-e2e-")
FOLDER = pathlib.Path(_folder.name)


def environment(**changes):
    """The environment of a command: as this one, but with no settings of the user's."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("OMG_")}
    known_leaks = pathlib.Path(__file__).with_name("known_leaks.txt")
    env["LSAN_OPTIONS"] = f"suppressions={known_leaks}:print_suppressions=0"
    env = {k: v for k, v in env.items() if not k.startswith(("HF_", "OLLAMA_"))}
    env["XDG_STATE_HOME"] = str(FOLDER / "state")
    env["XDG_CONFIG_HOME"] = str(FOLDER / "config")
    env["OMG_MODELS"] = str(FOLDER / "models")
    env["OMG_DIRECT"] = "1"  # no daemon starts by itself: those who want one use daemon.py
    env["HF_HOME"] = str(FOLDER / "huggingface")
    env["LC_ALL"] = "C.UTF-8"
    env.update(changes)
    return env


def omg(*arguments, stdin="", env=None, timeout=TIMEOUT):
    """Runs a command to its end; .stdout and .stderr are bytes."""
    return subprocess.run(
        [str(BINARY), *map(str, arguments)],
        input=stdin if isinstance(stdin, bytes) else stdin.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env or environment(),
        timeout=timeout,
        check=False,
    )


def omg_ok(*arguments, **options):
    """As omg(), but fails the test unless the command succeeds; returns standard output as text."""
    done = omg(*arguments, **options)
    if done.returncode != 0:
        why = done.stderr.decode()
        raise AssertionError(f"omg {arguments} ended with {done.returncode}: {why}")
    return done.stdout.decode()


def omg_json(*arguments, **options):
    return json.loads(omg_ok(*arguments, **options))


_made = {}


def made_model(preset="tiny-llama", kind="Q4_K_M", template=None):
    """A small model with random weights and a chat template, its family's or that of a file, made
    once."""
    key = (preset, kind, template)
    if key not in _made:
        path = FOLDER / f"{preset}-{kind}-{len(_made)}.gguf"
        command = [str(MAKE_MODEL), "--preset", preset, "--type", kind, str(path)]
        if template is not None:
            command += ["--template", str(template)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        _made[key] = path
    return _made[key]


def any_model():
    """A trained model: the one of the reference data if it is there, else the project's own."""
    return STORIES if STORIES.is_file() else GUIDE


def endless_model():
    """One that goes on writing for as long as it may."""
    return STORIES if STORIES.is_file() else made_model()


class Screen:
    """A command on a pseudo-terminal."""

    def __init__(self, *arguments, columns=80, env=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            variables = env or environment(TERM="xterm")
            os.execve(str(BINARY), [str(BINARY), *map(str, arguments)], variables)
        self.text = ""
        self._seen = 0
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def _read(self, seconds):
        """False when the command has closed its side."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # EIO
            return False
        self.text += data.decode(errors="replace")
        return bool(data)

    def expect(self, pattern, timeout=TIMEOUT):
        """Waits until output that was not matched before matches; returns the match."""
        end = time.monotonic() + timeout
        is_open = True
        while True:
            match = re.compile(pattern).search(self.text, self._seen)
            if match:
                self._seen = match.end()
                return match
            left = end - time.monotonic()
            if left <= 0 or not is_open:
                raise AssertionError(f"no {pattern!r} in {self.text[self._seen:]!r}")
            is_open = self._read(min(left, 0.5))

    def send(self, text):
        os.write(self.fd, text.encode())

    def line(self, text):
        self.send(text + "\n")

    def interrupt(self):
        self.send("\x03")

    def wait(self, timeout=TIMEOUT):
        """Reads to the end; returns the exit code."""
        end = time.monotonic() + timeout
        while self._read(0.2):
            if time.monotonic() > end:
                raise AssertionError(f"still running; it said {self.text!r}")
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        self.pid = None
        return os.waitstatus_to_exitcode(status)

    def close(self):
        if self.pid is None:
            return
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.fd)
        self.pid = None
