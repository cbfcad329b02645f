#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients as applications use them, from npm, unchanged, against the real daemon: each file of
tests with node's own runner. What models answer alone comes from commands without a daemon."""

import json
import os
import pathlib
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from daemon import Daemon  # noqa: E402
from harness import STORIES, TIMEOUT, any_model, made_model, omg_json, omg_ok  # noqa: E402

CLIENTS = pathlib.Path(os.environ.get("OMG_CLIENTS", "/nonexistent"))
PROMPT = "Once upon a time"
TOKENS = 24


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not (CLIENTS / "node_modules").is_dir():
            raise unittest.SkipTest(f"the clients are not installed at {CLIENTS}")
        cls.text_model = any_model()
        cls.chat_model = made_model("tiny-qwen3", "Q8_0", HERE / "chat_template.jinja")
        cls.daemon = Daemon()
        cls.addClassCleanup(cls.daemon.stop)
        cls.daemon.add(cls.text_model, "text:latest")
        cls.daemon.add(cls.chat_model, "chat:latest")
        cls.daemon.add(made_model("tiny-llama", "Q8_0"), "plain:latest")  # no tools, no thinking
        alone = omg_ok("generate", cls.text_model, PROMPT, "--raw", "--temperature", 0,
                       "--max-tokens", TOKENS, "--direct")
        if alone.endswith("\n") and STORIES.is_file():
            alone = alone.removesuffix("\n")
        context = omg_json("show", cls.chat_model, "--json")["context_length"]
        cls.env = dict(
            os.environ,
            OMG_URL=cls.daemon.url,
            OMG_CLIENT_MODELS=json.dumps({
                "text": "text:latest",
                "chat": "chat:latest",
                "plain": "plain:latest",
                "chat_context": context,
                "file": str(cls.text_model),
                "nowhere": "127.0.0.1:1/library/nothing:latest",
            }),
            OMG_GREEDY=json.dumps({"prompt": PROMPT, "tokens": TOKENS, "text": alone}),
        )

    def run_tests(self, name):
        done = subprocess.run(
            ["node", "--test", "--test-reporter=spec", str(CLIENTS / name)],
            env=self.env, timeout=5 * TIMEOUT, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output = done.stdout.decode(errors="replace")
        log = bytes(self.daemon.log[-4000:]).decode(errors="replace")
        self.assertEqual(done.returncode, 0, f"{output}\n-- the daemon's log\n{log}")

    def test_ollama(self):
        self.run_tests("ollama.test.mjs")

    def test_openai(self):
        self.run_tests("openai.test.mjs")

    def test_frameworks(self):
        self.run_tests("frameworks.test.mjs")


if __name__ == "__main__":
    unittest.main(verbosity=2)
