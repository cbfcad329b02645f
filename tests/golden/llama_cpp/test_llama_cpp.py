#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the transcripts of the built-in model against llama.cpp's library, where npm brought it:
transcripts.test.mjs with node's own runner. OMG_LLAMA_CPP is where it is installed."""

import os
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
INSTALLED = pathlib.Path(os.environ.get("OMG_LLAMA_CPP", "/nonexistent"))


class LlamaCpp(unittest.TestCase):
    def test_it_answers_as_our_transcripts_say(self):
        if not list(INSTALLED.glob("node_modules/@node-llama-cpp/*")):
            self.skipTest(f"llama.cpp's library is not installed at {INSTALLED}")
        version = subprocess.run(["node", "--version"], stdout=subprocess.PIPE, text=True).stdout
        if int(version.removeprefix("v").split(".")[0]) < 20:
            self.skipTest(f"it wants node 20 or later, and here is {version.strip()}")
        done = subprocess.run(
            ["node", "--test", INSTALLED / "transcripts.test.mjs"],
            env=os.environ | {"GUIDE": str(ROOT / "models/guide/guide.gguf"),
                              "GOLDEN": str(ROOT / "tests/golden/guide.json")},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
        self.assertEqual(done.returncode, 0, done.stdout[-6000:])
        self.assertIn("# fail 0", done.stdout)
        self.assertNotIn("# pass 0", done.stdout)


if __name__ == "__main__":
    sys.exit(unittest.main())
