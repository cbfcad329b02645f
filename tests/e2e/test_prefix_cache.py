#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The prefix cache on the disk: what was computed once is read after the model or the daemon was
gone, the answers stay what they are, and nobody else may look."""

import pathlib
import shutil
import stat
import tempfile
import time
import unittest

from daemon import Daemon, wait_until
from harness import any_model, omg_json, omg_ok

PROMPT = [7 + i % 50 for i in range(200)]


class PrefixCache(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="omg-p-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.prefixes = self.folder / "cache" / "prefixes"

    def daemon(self, size="64MiB"):
        return Daemon("--prefix-cache-disk", size, "--prefix-cache-folder", self.prefixes,
                      models=self.folder / "models",
                      env={"OMG_PREFIX_CACHE_FOLDER": str(self.prefixes)})

    def ask(self, daemon, prompt=None):
        """(text, tokens of the prompt that were cached)"""
        answer = daemon.json("POST", "/v1/completions", {
            "model": "text", "prompt": prompt or PROMPT, "max_tokens": 24, "temperature": 0})
        return (answer["choices"][0]["text"],
                answer["usage"]["prompt_tokens_details"]["cached_tokens"])

    def files(self):
        return list(self.prefixes.glob("*.kv"))

    def test_it_outlives_model_and_daemon(self):
        with self.daemon() as daemon:
            daemon.add(any_model(), "text:latest")
            text, cached = self.ask(daemon)
            self.assertEqual(cached, 0)
            self.assertEqual(self.ask(daemon), (text, 192))
            # The model is unloaded, and loaded again.
            daemon.json("POST", "/api/generate", {"model": "text", "keep_alive": 0})
            wait_until(lambda: not daemon.worker_pids(), what="the worker's end")
            self.assertEqual(self.ask(daemon), (text, 192))
            run = daemon.json("GET", "/v1/runs")["runs"][0]
            self.assertEqual(run["activity"]["restored_tokens"], 192, run)
        with self.daemon() as daemon:
            self.assertEqual(self.ask(daemon), (text, 192))
            other = self.ask(daemon, PROMPT[:100] + [9] * 100)
            self.assertEqual(other[1], 96)
            log = omg_ok("logs", "text:latest", env=daemon.env)
            self.assertIn("prompts on the disk: room for", log)
        with self.daemon("0") as daemon:  # off: everything is computed
            self.assertEqual(self.ask(daemon), (text, 0))
            self.assertEqual(self.ask(daemon, PROMPT[:100] + [9] * 100)[0], other[0])

    def test_it_is_this_users_and_can_be_forgotten(self):
        with self.daemon() as daemon:
            daemon.add(any_model(), "text:latest")
            self.ask(daemon)
            [file] = self.files()
            self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
            self.assertEqual(stat.S_IMODE(self.prefixes.stat().st_mode), 0o700)
            self.assertLessEqual(file.stat().st_size, 64 << 20)
            env = daemon.env
        self.assertGreater(omg_json("cache", "stats", "--json", env=env)["prefix_bytes"], 0)
        omg_ok("cache", "forget", env=env)
        self.assertEqual(self.files(), [])
        with self.daemon() as daemon:
            self.assertEqual(self.ask(daemon)[1], 0)

    def test_a_damaged_file_costs_time_alone(self):
        with self.daemon() as daemon:
            daemon.add(any_model(), "text:latest")
            text, _ = self.ask(daemon)
        [file] = self.files()
        good = file.read_bytes()
        # From the table of records on, every 1009th byte is another.
        spoilt = bytearray(good)
        for at in range(4096, len(spoilt), 1009):
            spoilt[at] ^= 0x55
        for damaged in [b"no file of ours", good[:5000], bytes(spoilt)]:
            file.write_bytes(damaged)
            with self.daemon() as daemon:
                self.assertEqual(self.ask(daemon)[0], text)
                self.assertEqual(self.ask(daemon), (text, 192))
        with self.daemon() as daemon:  # what was found damaged was replaced
            answer, cached = self.ask(daemon)
            self.assertEqual(answer, text)
            self.assertGreaterEqual(cached, 32)

    def test_a_killed_daemon_leaves_a_file_that_can_be_used(self):
        daemon = self.daemon()
        daemon.add(any_model(), "text:latest")
        text, _ = self.ask(daemon)
        # Written when nothing is to be done for a second: more than the head of the file.
        [file] = self.files()
        wait_until(lambda: file.stat().st_blocks * 512 > 16384, what="the pause")
        time.sleep(0.3)
        daemon.kill()
        with self.daemon() as daemon:
            answer, cached = self.ask(daemon)
            self.assertEqual(answer, text)
            self.assertGreater(cached, 0)


if __name__ == "__main__":
    unittest.main()
