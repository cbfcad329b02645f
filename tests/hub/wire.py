# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 as the test hub speaks it: a thread for each connection, kept alive, bodies by sendfile.

Handlers raise Answer; what it says goes out. How a fault wants it done is seen to here alone, so
that every route can be slow, cut, corrupt or endless.
"""

import gzip
import http.server
import json
import os
import re
import socket
import threading
import time
import urllib.parse

CHUNK = 1 << 20


class Answer(Exception):
    """What a handler wants to be sent: a body of bytes, or a part of a file."""

    def __init__(self, status, body=b"", headers=(), file=None, file_size=0,
                 kind="application/json", ranged=False):
        super().__init__(status)
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = list(headers)
        self.file = file  # path
        self.file_size = file_size
        self.kind = kind
        self.ranged = ranged or bool(file)


class Gone(Exception):
    """The connection is to be dropped where it stands."""


def parse_range(text, size):
    """(first, last) of "bytes=a-b", None where there is no range to honour, "bad" for 416."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", text or "")
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        count = min(int(last), size)
        return (size - count, size - 1) if count else "bad"
    first = int(first)
    last = min(int(last), size - 1) if last else size - 1
    return (first, last) if first <= last else "bad"


class Body:
    """Sends bytes of a file or of memory, counting them, in the way that a fault asks for."""

    def __init__(self, connection, fault, count, stopping):
        self.connection = connection
        self.fault = fault
        self.count = count  # called with the number of bytes that went out
        self.stopping = stopping
        self.sent = 0
        self.begin = time.monotonic()

    def _room(self, length):
        """How many bytes may go out now, after the waiting that a slow or cut file needs."""
        cut = self.fault.get("cut_after")
        if cut is not None:
            if self.sent >= cut:
                raise Gone
            length = min(length, cut - self.sent)
        stall = self.fault.get("stall_after")
        if stall is not None:
            if self.sent >= stall:
                self.stopping.wait(self.fault.get("stall_seconds", 3600))
                raise Gone
            length = min(length, stall - self.sent)
        rate = self.fault.get("bytes_per_second")
        if rate:
            length = min(length, max(1, int(rate / 20)))
            ahead = self.begin + (self.sent + length) / rate - time.monotonic()
            if ahead > 0 and self.stopping.wait(ahead):
                raise Gone
        return length

    def _sent(self, number):
        self.sent += number
        self.count(number)

    def send_file(self, path, offset, length):
        corrupt = self.fault.get("corrupt_at")
        with open(path, "rb") as file:
            while length > 0:
                room = self._room(min(length, CHUNK))
                if corrupt is not None and offset <= corrupt < offset + room:
                    file.seek(offset)
                    data = bytearray(file.read(room))
                    data[corrupt - offset] ^= 0x40
                    self.connection.sendall(data)
                    number = len(data)
                else:
                    number = os.sendfile(self.connection.fileno(), file.fileno(), offset, room)
                if number == 0:
                    raise Gone  # the file became shorter
                offset += number
                length -= number
                self._sent(number)

    def send_bytes(self, data):
        data = memoryview(data)
        while data:
            room = self._room(min(len(data), CHUNK))
            self.connection.sendall(data[:room])
            self._sent(room)
            data = data[room:]

    def send_endless(self):
        while not self.stopping.is_set():
            self.send_bytes(b"10000\r\n" + bytes(0x10000) + b"\r\n")

    def send_chunked(self, data):
        for at in range(0, len(data), 4096):
            piece = data[at : at + 4096]
            self.send_bytes(b"%x\r\n" % len(piece) + piece + b"\r\n")
        self.send_bytes(b"0\r\n\r\n")


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection. The server object has `site` (what answers) and `stopping`."""

    protocol_version = "HTTP/1.1"
    server_version = "test-hub"
    sys_version = ""
    disable_nagle_algorithm = True

    def log_message(self, *arguments):  # the counters are the log
        pass

    def handle(self):
        try:
            super().handle()
        except (Gone, ConnectionError, TimeoutError):
            self.close_connection = True

    def address(self):
        host = self.headers.get("Host") or "%s:%d" % self.server.server_address[:2]
        return f"{self.server.scheme}://{host}"

    def read_body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self):
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path)
        query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
        try:
            self.server.site.answer(self, path, query)
            raise Answer(404, {"error": "Sorry, we can't find the page you are looking for."})
        except Answer as answer:
            self.send(answer, self.server.site.take_fault(self, path))

    do_GET = do_HEAD = do_POST = answer

    def head(self, status, headers):
        self.send_response(status)
        for name, value in headers:
            if value is not None:
                self.send_header(name, str(value))
        self.end_headers()

    def send(self, answer, fault):
        if fault.get("delay_seconds"):
            self.server.stopping.wait(fault["delay_seconds"])
        if fault.get("drop"):
            raise Gone
        answer = misbehave(answer, fault, self.path)
        headers = list(answer.headers)
        size = answer.file_size if answer.file else len(answer.body)
        # What a response's own headers name wins over the usual ones.
        named = {name.lower() for name, _ in headers}
        part = None
        wants_part = answer.status == 200 and answer.ranged and not fault.get("no_ranges")
        if wants_part:
            headers.append(("Accept-Ranges", "bytes"))
            part = self.range_of(answer, size)
        status, first, length = answer.status, 0, size
        if part == "bad":
            headers.append(("Content-Range", f"bytes */{size}"))
            status, length, answer = 416, 0, Answer(416)
        elif part:
            first = part[0] + fault.get("shift_range", 0)
            length = part[1] - part[0] + 1
            status = 206
            total = size + fault.get("wrong_total", 0)
            headers.append(("Content-Range", f"bytes {first}-{first + length - 1}/{total}"))
        if "content-type" not in named:
            headers.append(("Content-Type", answer.kind))
        endless, chunked = fault.get("endless"), fault.get("chunked")
        if endless or chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        elif status not in (204, 304):
            headers.append(("Content-Length", length + fault.get("wrong_length", 0)))
        self.head(status, headers)
        if self.command == "HEAD":
            return
        body = Body(self.connection, fault, self.server.site.counter(self), self.server.stopping)
        self.wfile.flush()
        if endless:
            body.send_endless()
        elif answer.file and chunked:
            with open(answer.file, "rb") as file:
                file.seek(first)
                body.send_chunked(file.read(length))
        elif answer.file:
            body.send_file(answer.file, first, length)
        elif chunked:
            body.send_chunked(answer.body)
        else:
            body.send_bytes(answer.body[first : first + length])
        if fault.get("wrong_length"):
            raise Gone

    def range_of(self, answer, size):
        condition = self.headers.get("If-Range")
        etag = next((value for name, value in answer.headers if name == "ETag"), None)
        # Weak validators never match (RFC 9110 §13.1.5).
        if condition and (condition != etag or condition.startswith("W/")):
            return None
        return parse_range(self.headers.get("Range"), size)


def misbehave(answer, fault, path):
    """The answer that a fault puts in the place of the right one."""
    if "status" in fault:
        headers = [(k, v) for k, v in fault.get("headers", {}).items()]
        if "retry_after" in fault:
            headers.append(("Retry-After", fault["retry_after"]))
        return Answer(fault["status"], {"error": fault.get("message", "made to fail")}, headers)
    if fault.get("redirect") == "loop":
        return Answer(302, b"", [("Location", path)])
    if fault.get("redirect") == "chain":  # never twice the same address
        base, _, number = path.partition("?hop=")
        return Answer(302, b"", [("Location", f"{base}?hop={int(number or 0) + 1}")])
    if "redirect" in fault:
        return Answer(302, b"", [("Location", fault["redirect"])])
    if "gzip_bomb" in fault:
        packed = bomb(fault["gzip_bomb"])
        return Answer(200, packed, [*answer.headers, ("Content-Encoding", "gzip")])
    if "file" in fault and answer.file:
        answer.file = fault["file"]
        answer.file_size = os.path.getsize(answer.file)
    if "body" in fault:
        return Answer(200, fault["body"].encode(), answer.headers, kind=answer.kind)
    if fault.get("no_etag"):
        answer.headers = [(k, v) for k, v in answer.headers if "etag" not in k.lower()]
    if fault.get("headers"):
        changed = {name.lower() for name in fault["headers"]}
        answer.headers = [(k, v) for k, v in answer.headers if k.lower() not in changed]
        answer.headers += fault["headers"].items()
    return answer


_bombs = {}
_bombs_lock = threading.Lock()


def bomb(size):
    """`size` spaces, packed: a thousandth of them on the wire."""
    with _bombs_lock:
        if size not in _bombs:
            _bombs[size] = gzip.compress(b" " * size, 9)
        return _bombs[size]


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True
    scheme = "http"

    def __init__(self, address, site):
        super().__init__(address, Handler)
        self.site = site
        self.stopping = threading.Event()

    def handle_error(self, request, client_address):
        import sys  # a client that left is no error

        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError, ValueError)):
            super().handle_error(request, client_address)

    def start(self):
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self):
        self.stopping.set()
        self.shutdown()
        self.server_close()

    @property
    def url(self):
        host, port = self.socket.getsockname()[:2]
        return f"{self.scheme}://{host}:{port}"


def quick_socket(server, send_buffer):
    """Bounds what the kernel takes from us before the client has read it."""
    if send_buffer:
        server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
