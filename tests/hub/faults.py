# SPDX-License-Identifier: Apache-2.0
"""How the test hub misbehaves when a test asks it to, and what it has counted.

A fault is a JSON object; the README beside this file lists its members. `match` is a pattern over
"where:path": "hub:/org/name/resolve/main/x.gguf", "cdn:/org/name/x.gguf",
"api:/api/models/org/name".
"""

import fnmatch
import threading


class Faults:
    def __init__(self):
        self._faults = []
        self._lock = threading.Lock()

    def set(self, faults):
        with self._lock:
            self._faults = [dict(fault, seen=0) for fault in faults]

    def take(self, key):
        """The first fault that is for this request; each request that matches one is counted."""
        with self._lock:
            for fault in self._faults:
                if not fnmatch.fnmatchcase(key, fault.get("match", "*")):
                    continue
                number = fault["seen"]
                fault["seen"] += 1
                number -= fault.get("after", 0)
                if number < 0 or number >= fault.get("times", 1 << 62):
                    continue
                if number % fault.get("every", 1):
                    continue
                return fault
        return {}


class Counters:
    """Requests and body bytes by key, and the latest requests in the order they came."""

    KEPT = 20000

    def __init__(self):
        self._lock = threading.Lock()
        self.reset()

    def reset(self):
        with self._lock:
            self._bytes = {}
            self._requests = {}
            self._log = []
            self._credentials = {}

    def request(self, key, method, headers, port):
        entry = {"key": key, "method": method, "range": headers.get("Range"), "port": port,
                 "if_range": headers.get("If-Range"), "bytes": 0,
                 "authorization": headers.get("Authorization")}
        with self._lock:
            self._requests[key] = self._requests.get(key, 0) + 1
            if entry["authorization"]:
                self._credentials[key] = self._credentials.get(key, 0) + 1
            if len(self._log) < self.KEPT:
                self._log.append(entry)
        return entry

    def sent(self, key, entry, number):
        with self._lock:
            self._bytes[key] = self._bytes.get(key, 0) + number
            entry["bytes"] += number

    def report(self, with_log):
        with self._lock:
            report = {"bytes": dict(self._bytes), "requests": dict(self._requests),
                      "authorized": dict(self._credentials)}
            if with_log:
                report["log"] = [dict(entry) for entry in self._log]
            return report
