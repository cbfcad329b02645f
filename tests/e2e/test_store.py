#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Models that are on this machine: import, list, run by name, copy, check, delete, export."""

import hashlib
import json
import os
import pathlib
import shutil
import tempfile
import time
import unittest

import harness
from harness import made_model, omg, omg_json, omg_ok


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class StoreTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="omg-store-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.env = harness.environment(OMG_MODELS=str(self.folder / "models"),
                                       HF_HOME=str(self.folder / "hf"), HOME=str(self.folder))
        self.model = self.folder / "own.gguf"
        shutil.copy(made_model(), self.model)

    def ok(self, *arguments):
        return omg_ok(*arguments, env=self.env)

    def names(self):
        """What is in the store; the built-in model is listed only where nothing is."""
        listed = omg_json("models", "--json", env=self.env)["models"]
        return [model["name"] for model in listed if model["provider"] != "built-in"]

    def store_bytes(self):
        return sum(f.stat().st_size for f in (self.folder / "models" / "blobs").glob("*"))

    def test_a_file_is_used_where_it_is(self):
        self.ok("import", self.model, "--name", "mine")
        (model,) = omg_json("models", "--json", env=self.env)["models"]
        self.assertEqual(model["name"], "mine")
        self.assertEqual(model["family"], "llama")
        self.assertEqual(model["quantization"], "Q4_K_M")
        self.assertTrue(model["fits"])
        self.assertGreater(model["memory"], self.model.stat().st_size)
        self.assertEqual(self.store_bytes(), 0)
        by_path = self.ok("generate", self.model, "Once", "--max-tokens", 8, "--temperature", 0)
        by_name = self.ok("generate", "mine", "Once", "--max-tokens", 8, "--temperature", 0)
        self.assertEqual(by_name, by_path)
        self.assertIn("own.gguf", self.ok("show", "mine"))
        table = self.ok("ls")
        self.assertIn("mine", table)
        self.assertIn("MEMORY", table)

    def test_a_change_by_its_owner_is_noticed(self):
        self.ok("import", self.model, "--name", "mine")
        with open(self.model, "r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"\x01")
        os.utime(self.model, ns=(1, 1))
        done = omg("generate", "mine", "Once", env=self.env)
        self.assertEqual(done.returncode, 1)
        self.assertIn("own.gguf", done.stderr.decode())

    def test_cache_max_deletes_what_was_not_used_for_longest(self):
        other = self.folder / "other.gguf"
        shutil.copy(made_model(kind="Q8_0"), other)
        self.ok("import", self.model, "--name", "used", "--copy")
        self.ok("import", other, "--name", "unused", "--copy")
        self.ok("cp", "used", "also")
        time.sleep(1.1)  # uses are counted in seconds
        self.ok("generate", "used", "Once", "--max-tokens", 2)
        room = self.model.stat().st_size
        done = omg("cache", "max", room, env=self.env)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(sorted(self.names()), ["also", "unused", "used"])
        self.ok("cache", "max", room, "--yes")
        self.assertNotIn("unused", self.names())
        self.assertIn("used", self.names())
        self.assertEqual(self.store_bytes(), room)
        self.assertIn("nothing to delete", omg("cache", "max", room, env=self.env).stderr.decode())

    def test_copy_and_remove(self):
        self.ok("import", self.model, "--name", "mine", "--copy")
        self.assertEqual(self.store_bytes(), self.model.stat().st_size)
        self.ok("cp", "mine", "other")
        self.assertEqual(self.names(), ["mine", "other"])
        self.assertEqual(self.store_bytes(), self.model.stat().st_size)
        self.ok("rm", "mine")
        self.assertEqual(self.names(), ["other"])
        self.ok("generate", "other", "Once", "--max-tokens", 2)
        done = omg("rm", "other", "nothing", env=self.env)
        self.assertEqual(done.returncode, 3)
        self.assertEqual(self.names(), ["other"])  # all or none
        self.ok("rm", "other")
        self.assertEqual(self.store_bytes(), 0)
        self.assertTrue(self.model.is_file())

    def test_damage_is_found_and_put_aside(self):
        self.ok("import", self.model, "--name", "mine", "--copy")
        self.assertIn("all right", self.ok("verify"))
        blob = self.folder / "models" / "blobs" / f"sha256-{digest(self.model)}"
        blob.chmod(0o644)
        with open(blob, "r+b") as file:
            file.seek(1000)
            file.write(b"damage")
        done = omg("verify", "mine", env=self.env)
        self.assertEqual(done.returncode, 1)
        self.assertIn("mine", done.stdout.decode())
        self.assertFalse(blob.exists())
        done = omg("generate", "mine", "Once", env=self.env)
        self.assertNotEqual(done.returncode, 0)

    def test_a_bundle_carries_a_model(self):
        self.ok("import", self.model, "--name", "mine", "--copy")
        bundle = self.folder / "bundle.tar"
        self.ok("export", "mine", "-o", bundle)
        self.ok("rm", "mine")
        self.ok("import", bundle)
        self.assertEqual(self.names(), ["mine"])
        self.assertIn("all right", self.ok("verify"))
        self.ok("generate", "mine", "Once", "--max-tokens", 2)

    def test_models_of_other_tools(self):
        cache = self.folder / "hf" / "hub" / "models--org--tiny"
        sha = digest(self.model)
        (cache / "blobs").mkdir(parents=True)
        (cache / "refs").mkdir()
        (cache / "snapshots" / ("c" * 40)).mkdir(parents=True)
        shutil.copy(self.model, cache / "blobs" / sha)
        (cache / "refs" / "main").write_text("c" * 40)
        (cache / "snapshots" / ("c" * 40) / "tiny-Q4_K_M.gguf").symlink_to(f"../../blobs/{sha}")
        ollama = self.folder / ".ollama" / "models"
        manifest = ollama / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "latest"
        manifest.parent.mkdir(parents=True)
        (ollama / "blobs").mkdir()
        shutil.copy(self.model, ollama / "blobs" / f"sha256-{sha}")
        system = b"You are tiny."
        system_sha = hashlib.sha256(system).hexdigest()
        (ollama / "blobs" / f"sha256-{system_sha}").write_bytes(system)
        config_sha = hashlib.sha256(b"{}").hexdigest()
        (ollama / "blobs" / f"sha256-{config_sha}").write_bytes(b"{}")
        layer = "application/vnd.ollama.image."
        manifest.write_text(json.dumps({
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json",
                       "digest": f"sha256:{config_sha}", "size": 2},
            "layers": [{"mediaType": layer + "model", "digest": f"sha256:{sha}",
                        "size": self.model.stat().st_size},
                       {"mediaType": layer + "system", "digest": f"sha256:{system_sha}",
                        "size": len(system)}]}))
        lm_studio = self.folder / ".lmstudio" / "models" / "maker" / "tiny-GGUF"
        lm_studio.mkdir(parents=True)
        shutil.copy(self.model, lm_studio / "tiny-Q4_K_M.gguf")
        start = time.monotonic()
        self.ok("import")
        print(f"three layouts imported in {time.monotonic() - start:.2f} s")
        self.assertEqual(self.store_bytes(), 0)
        names = self.names()
        self.assertIn("org/tiny:Q4_K_M", names)
        self.assertIn("maker/tiny-GGUF:Q4_K_M", names)
        self.assertIn("tiny:latest", names)
        for name in ["org/tiny:Q4_K_M", "org/tiny", "hf.co/org/tiny", "tiny", "maker/tiny-GGUF"]:
            self.ok("generate", name, "Once", "--max-tokens", 2)
        stats = omg_json("cache", "stats", "--json", env=self.env)
        self.assertEqual(stats["own_bytes"], 0)
        self.assertGreaterEqual(stats["referenced_bytes"], 3 * self.model.stat().st_size)

    def test_gc_keeps_what_is_needed(self):
        self.ok("import", self.model, "--name", "mine", "--copy")
        partial = self.folder / "models" / "partial"
        partial.mkdir(exist_ok=True)
        report = omg_json("gc", "--json", env=self.env)
        self.assertEqual(report["removed"], [])
        self.ok("cache", "preload", "mine")
        self.ok("cache", "evict", "mine")
        self.assertIn("mine", self.ok("cache", "list"))
        self.assertEqual(omg("cache", "clear", env=self.env).returncode, 2)
        self.ok("cache", "clear", "--yes")
        self.assertEqual(self.names(), [])

    def test_errors_say_what_to_do(self):
        self.ok("import", self.model, "--name", "llama-mine")
        done = omg("generate", "lama-mine", "Once", env=self.env)
        self.assertEqual(done.returncode, 3)
        self.assertIn("llama-mine", done.stderr.decode())
        done = omg("import", self.folder / "nothing.gguf", env=self.env)
        self.assertEqual(done.returncode, 3)
        done = omg("show", "org/repo", env=self.env)
        self.assertEqual(done.returncode, 3)
        self.assertIn("omg pull org/repo", done.stderr.decode())


if __name__ == "__main__":
    unittest.main()
