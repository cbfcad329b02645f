# SPDX-License-Identifier: Apache-2.0
"""A daemon of its own for a test: started on a free port and a socket of the test, and ended."""

import http.client
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from harness import BINARY, FOLDER, TIMEOUT, environment, omg_ok

LISTENING = re.compile(rb"listening on (http://\S+)")


class Daemon:
    """`omg serve` with a store of its own. Use as a context, or call stop()."""

    def __init__(self, *flags, models=None, env=None):
        # A socket's path has room for 107 bytes, so it cannot stand in a deep folder.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="omg-d-"))
        self.socket = self.folder / "s"
        self.env = environment(
            OMG_MODELS=str(models or self.folder / "models"),
            XDG_RUNTIME_DIR=str(self.folder),
            OMG_SOCKET=str(self.socket),
            OMG_DIRECT="0",
            **(env or {}),
        )
        self.process = subprocess.Popen(
            [str(BINARY), "serve", "--port", "0", "--socket", str(self.socket), *flags],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=self.env)
        self.log = bytearray()
        self.url = None
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(TIMEOUT) or self.url is None:
            self.kill()
            raise AssertionError(f"the daemon did not start: {self.log.decode(errors='replace')}")
        self.port = int(self.url.rsplit(":", 1)[1])

    def _read(self):
        for line in self.process.stdout:
            self.log += line
            found = LISTENING.search(line)
            if found and self.url is None:
                self.url = found.group(1).decode()
                self._ready.set()
        self._ready.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def add(self, path, name):
        """A model file into its store, by reference."""
        omg_ok("import", path, "--name", name, env=self.env)

    def request(self, method, path, body=None, headers=None, timeout=TIMEOUT):
        """(status, headers, bytes) of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        data = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
        try:
            connection.request(method, path, data, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def json(self, method, path, body=None, status=200, **options):
        """The JSON of an answer, whose status must be as said."""
        got, _, data = self.request(method, path, body, **options)
        if got != status:
            raise AssertionError(f"{method} {path} answered {got}: {data.decode(errors='replace')}")
        return json.loads(data) if data else None

    def events(self, path, body, timeout=TIMEOUT):
        """Event after event of a stream, NDJSON or SSE (without [DONE])."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("POST", path, json.dumps(body))
            answer = connection.getresponse()
            if answer.status != 200:
                raise AssertionError(f"{path} answered {answer.status}: {answer.read()!r}")
            for line in answer:
                line = line.removeprefix(b"data:").strip()
                if line and line != b"[DONE]" and not line.startswith((b":", b"event:", b"id:")):
                    yield json.loads(line)
        finally:
            connection.close()

    def raw(self, data, timeout=10):
        """Bytes sent as they are; all that comes back until the daemon closes or is silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(data)
            received = b""
            try:
                while piece := connection.recv(65536):
                    received += piece
            except TimeoutError:
                pass
            return received

    def worker_pids(self):
        """Processes whose parent is the daemon."""
        children = []
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == self.process.pid and fields[0] != "Z":
                children.append(int(stat.parent.name))
        return children

    def resident_bytes(self):
        """Of the daemon and its workers."""
        total = 0
        for pid in [self.process.pid, *self.worker_pids()]:
            try:
                total += int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
            except OSError:
                pass
        return total

    def stop(self):
        """Ends it politely; it must not take long, and must not have been ended by a fault."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        self._reader.join(timeout=10)
        self.process.stdout.close()
        code = self.process.returncode
        shutil.rmtree(self.folder, ignore_errors=True)
        if code != 0:
            log = self.log.decode(errors="replace")
            raise AssertionError(f"the daemon ended with {code}: {log}")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self._reader.join(timeout=10)
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def wait_until(condition, seconds=TIMEOUT, what="it"):
    """Polls until `condition()` is true; returns its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come about within {seconds} s")
        time.sleep(0.02)


__all__ = ["Daemon", "FOLDER", "wait_until"]
