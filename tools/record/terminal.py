# SPDX-License-Identifier: Apache-2.0
"""A shell on a pseudo-terminal, typed at as a person would, and what its screen shows."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

import pyte

PATIENCE_S = 120  # for a prompt to come back
KEY_S = 0.03  # between two keys
QUIET_S = 0.25  # a prompt counts when nothing was written for as long after it


class Terminal:
    """`columns` wide and as high as all that comes: nothing scrolls away."""

    def __init__(self, columns, rows, environment, folder):
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._began = time.monotonic()
        self.seen_s = {}  # row -> when something first stood there
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environment)
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, size)

    def _read(self, timeout_s):
        """Whether something came. An empty read, or none, is the end of the shell."""
        ready, _, _ = select.select([self._fd], [], [], timeout_s)
        if not ready:
            return False
        # pyte knows no faint text; grey is what terminals make of it.
        self._stream.feed(os.read(self._fd, 65536).replace(b"\x1b[2m", b"\x1b[90m"))
        now = time.monotonic() - self._began
        for row in self.screen.dirty:
            if row not in self.seen_s and self.screen.display[row].strip():
                self.seen_s[row] = now
        self.screen.dirty.clear()
        return True

    def wait_for(self, prompt):
        """Until the cursor stands behind a prompt and all is quiet."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            came = self._read(QUIET_S)
            cursor = self.screen.cursor
            line = self.screen.display[cursor.y]
            if not came and line[:cursor.x] == prompt and not line[cursor.x:].strip():
                return
        raise SystemExit(f"no prompt {prompt!r} came; the screen has\n" +
                         "\n".join(line.rstrip() for line in self.screen.display).rstrip())

    def type(self, text):
        for key in text + "\r":
            os.write(self._fd, key.encode())
            while self._read(KEY_S):
                pass

    def erase_line(self):
        """The one with the cursor."""
        self.screen.erase_in_line(2)
        self.seen_s.pop(self.screen.cursor.y, None)

    def close(self):
        os.close(self._fd)  # hangs up
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)
