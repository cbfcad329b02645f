#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`omg pull`, `search` and `run` against a hub that behaves as Hugging Face does."""

import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

import harness
from harness import BINARY, made_model, omg, omg_json, omg_ok

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "hub"))
from docker_registry import PROGRAM, DockerRegistry  # noqa: E402
from server import Hub  # noqa: E402


class PullTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls._folder = tempfile.TemporaryDirectory(prefix="omg-pull-")
        cls.root = pathlib.Path(cls._folder.name) / "hub"
        tiny = cls.root / "org" / "tiny-GGUF"
        tiny.mkdir(parents=True)
        shutil.copy(made_model(), tiny / "tiny-Q4_K_M.gguf")
        shutil.copy(made_model(kind="Q8_0"), tiny / "tiny-Q8_0.gguf")
        (tiny / "README.md").write_text("# Tiny\n")
        (tiny / ".hub.json").write_text(json.dumps({"license": "mit", "tags": ["gguf"]}))
        gated = cls.root / "org" / "gated-GGUF"
        gated.mkdir()
        shutil.copy(made_model(), gated / "gated-Q4_K_M.gguf")
        (gated / ".hub.json").write_text(json.dumps({"gated": "auto", "allowed": ["hf_allowed"]}))
        strange = cls.root / "org" / "strange-GGUF"
        strange.mkdir()
        data = made_model().read_bytes()
        at = data.index(b"general.architecture") + 20 + 4 + 8
        strange_data = data[:at] + b"mamba" + data[at + 5:]
        (strange / "strange-Q4_K_M.gguf").write_bytes(strange_data)
        large = cls.root / "org" / "large-GGUF"
        large.mkdir()
        # Bytes that take a while, and turn out to be no model.
        (large / "large.gguf").write_bytes(random.Random(3).randbytes(48 << 20))
        parts = cls.root / "org" / "parts-GGUF"
        parts.mkdir()
        for part in (1, 2):  # not all of its tensors are there
            (parts / f"parts-Q4_K_M-0000{part}-of-00002.gguf").write_bytes(data[:-5000])
        cls.hub = Hub(cls.root, tokens=["hf_allowed"])

    @classmethod
    def tearDownClass(cls):
        cls.hub.stop()
        cls._folder.cleanup()

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="omg-pulled-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.env = harness.environment(
            OMG_MODELS=str(self.folder / "models"), HF_ENDPOINT=self.hub.url,
            XDG_CONFIG_HOME=str(self.folder / "config"), HOME=str(self.folder))
        self.post("reset", {})

    def post(self, what, value):
        request = urllib.request.Request(f"{self.hub.url}/-/{what}", json.dumps(value).encode(),
                                         method="POST")
        urllib.request.urlopen(request).close()

    def served(self, key):
        with urllib.request.urlopen(f"{self.hub.url}/-/counters") as answer:
            counters = json.load(answer)
        return sum(count for k, count in counters["bytes"].items() if key in k)

    def installed(self):
        """What is in the store; the built-in model stands in its listing only where nothing is."""
        models = omg_json("models", "--json", env=self.env)["models"]
        return [m["name"] for m in models if m["provider"] != "built-in"]

    def ok(self, *arguments):
        return omg_ok(*arguments, env=self.env)

    def fails(self, code, *arguments):
        done = omg(*arguments, env=self.env)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return done.stderr.decode()

    def test_the_best_quantisation_comes_once(self):
        (result,) = omg_json("pull", "org/tiny-GGUF", "--json", env=self.env)
        self.assertEqual(result["name"], "org/tiny-GGUF:Q4_K_M")
        self.assertEqual(result["license"], "mit")
        self.assertEqual(result["family"], "llama")
        self.assertEqual(result["fetched_bytes"], made_model().stat().st_size)
        self.assertEqual(len(result["commit"]), 40)
        self.assertIn("here already", self.ok("pull", "org/tiny-GGUF"))
        self.ok("pull", "org/tiny-GGUF:Q8_0")
        names = [m["name"] for m in omg_json("models", "--json", env=self.env)["models"]]
        self.assertEqual(names, ["org/tiny-GGUF:Q4_K_M", "org/tiny-GGUF:Q8_0"])
        self.assertIn("all right", self.ok("verify"))

    def test_verify_repairs_the_damaged_pieces_alone(self):
        self.ok("pull", "org/tiny-GGUF:Q8_0")
        self.ok("cp", "org/tiny-GGUF:Q8_0", "copy")
        (blob,) = (self.folder / "models" / "blobs").iterdir()
        size = blob.stat().st_size
        self.assertGreater(size, 5 << 18)
        with open(blob, "r+b") as file:
            file.seek(1 << 20)
            byte = file.read(1)[0]
            file.seek(1 << 20)
            file.write(bytes([byte ^ 1]))
        self.post("reset", {})
        done = omg("verify", "--json", env=self.env)
        self.assertEqual(done.returncode, 1)
        (bad,) = json.loads(done.stdout)["bad"]
        self.assertEqual(bad["models"], ["copy", "org/tiny-GGUF:Q8_0"])
        self.assertEqual(bad["damaged"], [{"begin": 1 << 20, "end": size}])
        self.assertEqual(self.served("org"), 0)
        self.assertIn("verify", self.fails(1, "generate", "copy", "Once"))
        report = omg_json("verify", "--repair", "--json", env=self.env)
        (item,) = report["repaired"]
        self.assertEqual(item["problem"], "")
        self.assertEqual(item["fetched_bytes"], size - (1 << 20))
        self.assertLess(self.served("Q8_0.gguf"), size)
        self.assertEqual(blob.read_bytes(), made_model(kind="Q8_0").read_bytes())
        self.assertIn("all right", self.ok("verify"))
        self.ok("generate", "copy", "Once", "--max-tokens", 2)
        # What is gone altogether comes back whole; what has no source is told.
        blob.unlink()
        self.assertIn("repaired", self.ok("verify", "copy", "--repair"))
        self.assertEqual(blob.stat().st_size, size)

    def test_verify_says_what_it_cannot_repair(self):
        self.ok("import", made_model(), "--name", "mine", "--copy")
        (blob,) = (self.folder / "models" / "blobs").iterdir()
        blob.unlink()
        self.assertIn("could not be repaired", self.fails(1, "verify", "--repair"))

    def test_rm_deletes_no_model_by_guess(self):
        self.ok("pull", "org/tiny-GGUF:Q4_K_M", "org/tiny-GGUF:Q8_0")
        for delete in (("rm",), ("cache", "delete")):
            said = self.fails(2, *delete, "org/tiny-GGUF")
            self.assertIn("org/tiny-GGUF:Q4_K_M", said)
            self.assertIn("org/tiny-GGUF:Q8_0", said)
        self.ok("rm", "hf.co/org/tiny-GGUF:Q4_K_M")
        self.ok("rm", "org/tiny-GGUF")  # the only one that is left
        self.assertEqual(self.installed(), [])

    def test_run_brings_what_is_missing(self):
        expected = self.ok("run", made_model(), "Hi", "--max-tokens", 5, "--temperature", 0)
        answer = self.ok("run", "org/tiny-GGUF:Q4_K_M", "Hi", "--max-tokens", 5, "--temperature",
                         0)
        self.assertEqual(answer, expected)
        self.post("reset", {})
        self.ok("run", "org/tiny-GGUF", "Hi", "--max-tokens", 2)
        self.assertEqual(self.served("org"), 0)  # what is here asks nobody

    def test_catalogue_and_search(self):
        config = self.folder / "config" / "ohmygpu"
        config.mkdir(parents=True)
        (config / "catalog.toml").write_text(
            '[tiny]\ntitle = "Tiny"\n[tiny.aliases]\n"tiny:q8" = "org/tiny-GGUF:Q8_0"\n')
        self.ok("pull", "tiny:q8")
        (model,) = omg_json("models", "--json", env=self.env)["models"]
        self.assertEqual(model["name"], "tiny:q8")
        self.assertIn("tiny:q8", self.ok("catalog"))
        self.assertIn("org/tiny-GGUF", self.ok("search", "tiny"))
        self.assertIn("did you mean", self.fails(3, "pull", "tiny:q9"))

    def test_refusals_come_before_the_download(self):
        self.assertIn("mamba", self.fails(1, "pull", "org/strange-GGUF"))
        self.assertLess(self.served("strange"), 2 << 20)
        said = self.fails(2, "pull", "org/gated-GGUF")
        self.assertIn(f"{self.hub.url}/org/gated-GGUF", said)
        self.env["HF_TOKEN"] = "hf_allowed"
        self.ok("pull", "org/gated-GGUF")
        del self.env["HF_TOKEN"]
        self.assertIn("Q4_K_M", self.fails(3, "pull", "org/tiny-GGUF:Q5_0"))
        self.assertIn("org/tiny-GGUF", self.fails(3, "pull", "org/tiny"))
        self.env["HF_ENDPOINT"] = "http://127.0.0.1:1"
        self.fails(1, "pull", "org/tiny-GGUF")

    def test_a_corrupt_file_never_becomes_a_model(self):
        self.post("faults", [{"match": "*tiny-Q4_K_M.gguf", "corrupt_at": 5000}])
        self.fails(1, "pull", "org/tiny-GGUF")
        self.assertEqual(self.installed(), [])
        self.post("faults", [])
        self.ok("pull", "org/tiny-GGUF")

    def test_parts_that_make_no_model_do_not_stay(self):
        self.fails(1, "pull", "org/parts-GGUF")
        self.assertEqual(self.installed(), [])

    def test_damage_is_repaired_by_a_pull(self):
        self.ok("pull", "org/tiny-GGUF")
        (blob,) = (self.folder / "models" / "blobs").iterdir()
        blob.chmod(0o644)
        with open(blob, "r+b") as file:
            file.seek(3000)
            file.write(b"damage")
        self.fails(1, "verify")
        self.ok("pull", "org/tiny-GGUF")
        self.assertIn("all right", self.ok("verify"))

    @unittest.skipUnless(PROGRAM, "docker-registry is not installed")
    def test_a_registry_keeps_what_was_pushed(self):
        with DockerRegistry(self.folder / "registry") as registry:
            there = f"{registry.host}/team/tiny:v1"
            self.ok("pull", "org/tiny-GGUF")
            pushed = omg_json("push", "org/tiny-GGUF", there, "--json", env=self.env)
            self.assertEqual(pushed["already_there"], 0)
            again = omg_json("push", "org/tiny-GGUF", there, "--json", env=self.env)
            self.assertEqual(again["already_there"], again["blobs"])
            self.assertEqual(again["manifest"], pushed["manifest"])
            self.ok("cache", "clear", "--yes")
            (pulled,) = omg_json("pull", there, "--json", env=self.env)
            self.assertEqual(pulled["commit"], pushed["manifest"])
            self.assertGreaterEqual(pulled["fetched_bytes"], made_model().stat().st_size)
            self.ok("run", there, "Hi", "--max-tokens", 2)
            # A second name for it goes up as it came: under the same digest.
            copied = omg_json("push", there, f"{registry.host}/team/copy:v2", "--json",
                              env=self.env)
            self.assertEqual(copied["manifest"], pushed["manifest"])

    def start(self, *arguments):
        return subprocess.Popen([str(BINARY), *arguments], env=self.env,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_a_killed_pull_goes_on(self):
        # Of each of 8 connections: three seconds for all of it, and each pull has one.
        self.post("faults", [{"match": "cdn:*", "bytes_per_second": 2 << 20}])
        size = 48 << 20
        killed = 0
        for _ in range(3):
            process = self.start("pull", "org/large-GGUF", "--any-family")
            time.sleep(1.0)
            if process.poll() is None:
                killed += 1
            process.send_signal(signal.SIGKILL)
            process.communicate()
        self.assertGreater(killed, 0)
        self.post("faults", [])
        # Whole, but no model: it says so, and keeps nothing that looks like one.
        self.assertIn("GGUF", self.fails(1, "pull", "org/large-GGUF", "--any-family"))
        self.assertLess(self.served("large.gguf"), size * 3)
        self.assertEqual(self.installed(), [])
        self.ok("gc", "--partials")
        left = [path for name in ("blobs", "partial", "pieces", "quarantine", "temp", "views")
                for path in (self.folder / "models" / name).iterdir()]
        self.assertEqual(left, [])

    def test_two_pulls_fetch_each_byte_once(self):
        self.post("faults", [{"match": "cdn:*Q8_0*", "bytes_per_second": 300_000}])
        both = [self.start("pull", "org/tiny-GGUF:Q8_0") for _ in range(2)]
        for process in both:
            out, err = process.communicate(timeout=harness.TIMEOUT)
            self.assertEqual(process.returncode, 0, err.decode())
        size = made_model(kind="Q8_0").stat().st_size
        # And twice the first bytes, which tell the family.
        self.assertLessEqual(self.served("cdn:/org/tiny-GGUF/tiny-Q8_0"), size + 2 * (1 << 20))


if __name__ == "__main__":
    unittest.main()
