#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Transfers from outside: a program that downloads one file is killed, doubled and lied to.

With OMG_FIGURES set the kill test runs in full: 1 GiB, killed 100 times.
"""

import hashlib
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from server import Hub  # noqa: E402

TOOL = os.environ["OMG_TRANSFER_TOOL"]
FIGURES = bool(os.environ.get("OMG_FIGURES"))
TIMEOUT = float(os.environ.get("OMG_E2E_TIMEOUT", "120"))
MIB = 1 << 20
HEADER = 128  # of a chunk map; see chunk_map.h
KEY = "cdn:/org/model/model.gguf"


def write_random(path, size, seed=1):
    """Returns the SHA-256 of what it wrote."""
    chance = random.Random(seed)
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        while size > 0:
            piece = chance.randbytes(min(size, 4 * MIB))
            digest.update(piece)
            file.write(piece)
            size -= len(piece)
    return digest.hexdigest()


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(4 * MIB):
            digest.update(piece)
    return digest.hexdigest()


def mapped_bytes(partial):
    """Bytes that a chunk map says are there."""
    try:
        data = pathlib.Path(f"{partial}.map").read_bytes()
    except FileNotFoundError:
        return 0
    if len(data) < HEADER or not data.startswith(b"OMGPART1"):
        return 0
    granule, size = struct.unpack_from("<QQ", data, 8)
    done = [index for index, state in enumerate(data[HEADER:]) if state]
    return sum(min(granule, size - index * granule) for index in done)


class TransferTest(unittest.TestCase):
    size = 24 * MIB + 12345

    def setUp(self):
        self._folder = tempfile.TemporaryDirectory(prefix="omg-transfer-")
        self.addCleanup(self._folder.cleanup)
        self.folder = pathlib.Path(self._folder.name)
        self.model = self.folder / "root" / "org" / "model"
        self.model.mkdir(parents=True)
        self.out = self.folder / "out"
        self.out.mkdir()
        self.target = self.out / "model.gguf"
        self.source = self.model / "model.gguf"
        self.sha256 = write_random(self.source, self.size)
        self.hub = Hub(self.folder / "root", tokens=["hf_ok"])
        self.addCleanup(self.hub.stop)

    def arguments(self, *more, sha256=None, url=None):
        url = url or f"{self.hub.url}/org/model/resolve/main/model.gguf"
        digest = ["--sha256", sha256 or self.sha256] if sha256 != "" else []
        return [TOOL, "--url", url, "--size", str(self.size), "--to", str(self.target),
                "--first-pause", "50", *digest, *map(str, more)]

    def start(self, *more, **options):
        env = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
        return subprocess.Popen(self.arguments(*more, **options), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=env)

    def end(self, process):
        """(exit code, last line as JSON, all lines)."""
        out, err = process.communicate(timeout=TIMEOUT)
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertTrue(lines, err)
        return process.returncode, lines[-1], lines

    def fetch(self, *more, **options):
        return self.end(self.start(*more, **options))

    def fault(self, **fault):
        self.hub.faults.set([{"match": KEY, **fault}])

    def expect_right(self):
        self.assertEqual(sha256_of(self.target), self.sha256)
        self.assertEqual(os.listdir(self.out), ["model.gguf"])

    def expect_failure(self, done, words, leaves_partial=True):
        code, last, _ = done
        self.assertEqual(code, 1, last)
        self.assertRegex(last["error"], words)
        self.assertFalse(self.target.exists())
        if not leaves_partial:
            self.assertLessEqual(set(os.listdir(self.out)), {"model.gguf.partial.lock"})
        self.assertEqual({path.name for path in self.folder.iterdir()}, {"root", "out"})

    def sent(self):
        """Body bytes that the content host has sent, once it is quiet."""
        last = -1
        while True:
            now = self.hub.counters.report(False)["bytes"].get(KEY, 0)
            if now == last:
                return now
            last = now
            time.sleep(0.05)


class Well(TransferTest):
    def test_a_large_file_with_each_byte_once(self):
        code, last, _ = self.fetch("--authorization", "Bearer hf_ok")
        self.assertEqual(code, 0, last)
        self.expect_right()
        self.assertEqual(self.sent(), self.size)
        log = self.hub.counters.report(True)["log"]
        hub = [entry for entry in log if entry["key"].startswith("hub:")]
        self.assertEqual(len(hub), 1, "the hub is asked for the address once")
        self.assertEqual(hub[0]["authorization"], "Bearer hf_ok")
        content = [entry for entry in log if entry["key"].startswith("cdn:")]
        self.assertEqual({entry["authorization"] for entry in content}, {None})
        self.assertLessEqual(len({entry["port"] for entry in content}), 8, "connections are kept")
        self.assertTrue(all(entry["if_range"] for entry in content[1:]))

    def test_a_small_file_through_a_redirect_on_one_host(self):
        (self.model / "config.json").write_bytes(b'{"model_type": "llama"}\n')
        self.size = 24
        code, last, _ = self.fetch(url=f"{self.hub.url}/org/model/resolve/main/config.json",
                                   sha256=sha256_of(self.model / "config.json"))
        self.assertEqual(code, 0, last)
        self.assertEqual(self.target.read_bytes(), b'{"model_type": "llama"}\n')

    def test_a_plain_address(self):
        url = f"{self.hub.content_url}/files/org/model/model.gguf"
        code, last, _ = self.fetch(url=url, sha256="")
        self.assertEqual(code, 0, last)
        self.expect_right()

    def test_progress_reaches_the_end(self):
        self.fault(bytes_per_second=4 * MIB)
        code, last, lines = self.fetch("--progress")
        self.assertEqual(code, 0, last)
        reports = lines[:-1]
        self.assertTrue(all(a["done"] <= b["done"] for a, b in zip(reports, reports[1:])))
        self.assertTrue(all(r["hashed"] <= r["done"] <= self.size for r in reports))
        self.assertTrue(any(r["phase"] == "transferring" and r["rate"] > 0 for r in reports))
        self.assertEqual((reports[-1]["phase"], reports[-1]["done"]), ("done", self.size))

    def test_a_rate_limit_for_all_connections(self):
        begin = time.monotonic()
        code, last, _ = self.fetch("--limit", 12 * MIB)
        self.assertEqual(code, 0, last)
        self.assertGreater(time.monotonic() - begin, 1.7)  # 24 MiB
        self.expect_right()


class Two(TransferTest):
    def test_processes_fetch_each_byte_once(self):
        self.fault(bytes_per_second=2 * MIB)
        both = [self.start("--progress", "--steal-seconds", 1_000_000) for _ in range(2)]
        done = [self.end(process) for process in both]
        self.assertEqual([code for code, _, _ in done], [0, 0], done)
        self.expect_right()
        self.assertEqual(self.sent(), self.size)
        self.assertEqual(sorted(last["shared"] for _, last, _ in done), [False, True])
        waiter = next(lines for _, last, lines in done if last["shared"])
        seen = [line["done"] for line in waiter if line.get("phase") == "waiting"]
        self.assertTrue(any(0 < number < self.size for number in seen),
                        "the one that waits shows the other's progress")

    def test_the_second_takes_over_when_the_first_dies(self):
        self.fault(bytes_per_second=2 * MIB)
        first = self.start()
        partial = f"{self.target}.partial"
        end = time.monotonic() + TIMEOUT
        while mapped_bytes(partial) < 4 * MIB and time.monotonic() < end:
            time.sleep(0.01)
        second = self.start()
        time.sleep(0.3)
        first.kill()
        first.communicate()
        code, last, _ = self.end(second)
        self.assertEqual(code, 0, last)
        self.assertLessEqual(last["fetched"], self.size - 4 * MIB)
        self.expect_right()


class Faults(TransferTest):
    def expect_success(self, *more, **options):
        code, last, _ = self.fetch(*more, **options)
        self.assertEqual(code, 0, last)
        self.expect_right()

    def test_connections_that_break(self):
        self.fault(cut_after=700_000, every=2)
        self.expect_success()

    def test_answers_that_never_come(self):
        self.fault(drop=True, times=5)
        self.expect_success()

    def test_errors_of_the_server(self):
        self.fault(status=503, times=6)
        self.expect_success()

    def test_a_server_that_asks_for_patience(self):
        self.fault(status=429, retry_after=2, times=1)
        begin = time.monotonic()
        self.expect_success()
        self.assertGreater(time.monotonic() - begin, 2)

    def test_a_hub_that_is_down_for_good(self):
        self.hub.faults.set([{"match": "hub:*", "status": 500}])
        self.expect_failure(self.fetch("--attempts", 3), "500")

    def test_a_connection_that_stands_still(self):
        self.fault(stall_after=300_000, times=2)
        self.expect_success("--stall-seconds", 1)

    def test_addresses_that_expire(self):
        self.hub.options["link_seconds"] = 0.7
        self.fault(bytes_per_second=1 * MIB)
        self.expect_success()
        requests = self.hub.counters.report(False)["requests"]
        self.assertGreater(requests["hub:/org/model/resolve/main/model.gguf"], 1)

    def test_a_flipped_bit_is_never_published(self):
        self.fault(corrupt_at=self.size // 2)
        self.expect_failure(self.fetch(), "digest", leaves_partial=False)
        self.hub.faults.set([])
        self.expect_success()

    def test_a_bit_that_was_flipped_in_an_earlier_run(self):
        self.fault(corrupt_at=100, bytes_per_second=4 * MIB)
        process = self.start()
        while mapped_bytes(f"{self.target}.partial") < 10 * MIB:
            time.sleep(0.01)
        process.kill()
        process.communicate()
        self.hub.faults.set([])
        self.expect_success()

    def test_a_file_that_changes_on_the_way(self):
        other = self.folder / "root" / "old"
        write_random(other, self.size, seed=2)
        self.fault(file=str(other), headers={"ETag": '"old"'}, times=4)
        self.expect_success()

    def test_a_file_that_keeps_changing(self):
        self.hub.faults.set([
            {"match": KEY, "headers": {"ETag": f'"{i}"'}, "after": i, "times": 1}
            for i in range(1000)
        ])
        self.expect_failure(self.fetch(), "changing", leaves_partial=False)

    def test_a_file_that_is_another_by_now(self):
        self.expect_failure(self.fetch("--etag", "0" * 64), "changed on the server")
        self.size += 1
        self.expect_failure(self.fetch(), "size has changed")

    def test_a_server_without_ranges(self):
        self.fault(no_ranges=True)
        self.expect_success()

    def test_a_stream_that_breaks(self):
        self.hub.faults.set([
            {"match": KEY, "no_ranges": True, "cut_after": 9 * MIB, "after": 1, "times": 2},
            {"match": KEY, "no_ranges": True},
        ])
        self.expect_success()

    def test_a_server_without_etags(self):
        self.hub.faults.set([{"match": "*", "no_etag": True}])
        self.expect_success()

    def test_wrong_lengths(self):
        self.fault(wrong_total=5)
        self.expect_failure(self.fetch(), "changing|changed", leaves_partial=False)
        self.fault(shift_range=1)
        self.expect_failure(self.fetch("--attempts", 2), "another range|missing")
        self.fault(wrong_length=-100)
        code, _, _ = self.fetch("--attempts", 3)
        # Each answer brings some, and the rest is asked for again, down to what cannot be told.
        self.assertEqual(self.target.exists(), code == 0)
        if code == 0:
            self.expect_right()

    def test_bodies_without_end(self):
        self.fault(endless=True)
        self.expect_failure(self.fetch("--attempts", 2), "more bytes|announced")
        self.fault(endless=True, no_ranges=True)
        self.expect_failure(self.fetch("--attempts", 2), "more than|digest")

    def test_packed_bodies(self):
        self.fault(gzip_bomb=1 << 28)
        self.expect_failure(self.fetch("--attempts", 2), "compressed|changing")

    def test_redirects_in_circles(self):
        for kind in ("loop", "chain"):
            self.fault(redirect=kind)
            self.expect_failure(self.fetch(), "redirect")
            self.hub.faults.set([{"match": "hub:*", "redirect": kind}])
            self.expect_failure(self.fetch(), "redirect")


class Killed(TransferTest):
    def requests(self):
        return self.hub.counters.report(False)["requests"].get(KEY, 0)

    def wait_for_request(self, known):
        end = time.monotonic() + TIMEOUT
        while self.requests() <= known and time.monotonic() < end:
            time.sleep(0.005)

    size = 1024 * MIB if FIGURES else 96 * MIB
    kills = 100 if FIGURES else 10
    workers = 8

    def test_at_random_moments(self):
        # Slow enough that the last kill still finds a download under way.
        alive = 0.5
        rate = 0.6 * self.size / (self.kills * alive)
        self.fault(bytes_per_second=rate / self.workers)
        chance = random.Random(7)
        partial = f"{self.target}.partial"
        sent = done = 0
        waste = []
        number_of_requests = 0
        for number in range(self.kills):
            process = self.start("--workers", self.workers)
            # Most kills fall into the transfer, however slowly a busy machine starts programs.
            if chance.random() < 0.8:
                self.wait_for_request(number_of_requests)
            time.sleep(chance.uniform(0, 2 * alive))
            self.assertIsNone(process.poll(), f"over before kill {number}: {process.poll()}")
            process.kill()
            process.communicate()
            sent_now, done_now = self.sent(), mapped_bytes(partial)
            self.assertGreaterEqual(done_now, done, "what was there is there")
            waste.append((sent_now - sent) - (done_now - done))
            sent, done = sent_now, done_now
            number_of_requests = self.requests()
        self.hub.faults.set([])
        code, last, _ = self.fetch("--workers", self.workers)
        self.assertEqual(code, 0, last)
        self.expect_right()
        self.assertEqual(last["fetched"], self.size - done)
        again = self.sent() - self.size
        # A kill costs each worker less than a granule of 256 KiB, and what the sockets held.
        self.assertGreater(done, self.size / 10, "kills that stop all progress show little")
        most = self.workers * MIB
        self.assertLessEqual(max(waste), most)
        print(f"killed {self.kills} times over {self.size / MIB:.0f} MiB with {self.workers} "
              f"connections ({done / self.size:.0%} there at the last kill): right; "
              f"{again / MIB:.1f} MiB fetched again, by each kill {again / self.kills / MIB:.2f} "
              f"MiB, at most {max(waste) / MIB:.2f} MiB = "
              f"{max(waste) / self.workers / MIB:.2f} MiB a connection", flush=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
