#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The client that Hugging Face publishes works against the test hub, unchanged."""

import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from repositories import Digests  # noqa: E402
from server import Hub  # noqa: E402

CLIENT = pathlib.Path(os.environ.get("OMG_HUB_CLIENT", "/nonexistent"))
TOKENS = {"allowed": "hf_allowed", "other": "hf_other"}


def make_repositories(root):
    """Fills a folder; returns what check.mjs expects of it."""
    chance = random.Random(5)
    model = root / "org" / "model"
    files = {f"shards/part-{i:02}.json": chance.randbytes(10 + i) for i in range(12)}
    files |= {
        "config.json": b'{"model_type": "llama"}\n',
        "README.md": b"# A model\n",
        "model-Q4_K_M.gguf": chance.randbytes(1_500_000),
        "model-Q8_0.gguf": chance.randbytes(2_500_000),
        "with space/and+plus.txt": b"x" * 100,
        "large.dat": chance.randbytes(11 << 20),  # large by its size, not by its name
        "empty.txt": b"",
    }
    for path, data in files.items():
        (model / path).parent.mkdir(parents=True, exist_ok=True)
        (model / path).write_bytes(data)
    (model / ".hub.json").write_text(json.dumps({"pipeline_tag": "text-generation"}))
    for name in [f"model-{i}" for i in range(12)] + ["gated-model"]:
        (root / "org" / name).mkdir()
        (root / "org" / name / "model.gguf").write_bytes(chance.randbytes(100))
    gate = {"gated": "auto", "allowed": [TOKENS["allowed"]]}
    (root / "org" / "gated-model" / ".hub.json").write_text(json.dumps(gate))
    digests = Digests()
    known = {}
    for path in files:
        size, sha256, _ = digests.of(model / path)
        known[path] = {"size": size, "sha256": sha256,
                       "large": path.endswith(".gguf") or size >= 10 << 20}
    del known["empty.txt"]  # a range of nothing cannot be asked for, also not at Hugging Face
    (model / "empty.txt").unlink()
    return {"repo": "org/model", "files": known, "page": 8, "gated": "org/gated-model",
            "gatedPath": "model.gguf", "tokens": TOKENS}


class OfficialClient(unittest.TestCase):
    def test_all_of_its_calls(self):
        if not (CLIENT / "node_modules").is_dir():
            self.skipTest(f"the client is not installed at {CLIENT}")
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "root").mkdir()
            expected = make_repositories(folder / "root")
            (folder / "expected.json").write_text(json.dumps(expected))
            hub = Hub(folder / "root", tokens=TOKENS.values(), page=expected["page"])
            try:
                done = subprocess.run(
                    ["node", str(CLIENT / "check.mjs"), hub.url, str(folder / "expected.json"),
                     str(folder / "cache")],
                    capture_output=True, timeout=300, text=True, check=False,
                )
            finally:
                hub.stop()
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("9 checks by @huggingface/hub passed", done.stdout)
            counters = hub.counters.report(with_log=True)
            leaked = [entry for entry in counters["log"]
                      if entry["key"].startswith("cdn:") and entry["authorization"]]
            self.assertEqual(leaked, [], "credentials went to the other origin")


if __name__ == "__main__":
    unittest.main()
