#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our hub code with its transfers against the test hub, and against Debian's docker-registry."""

import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from docker_registry import PROGRAM, DockerRegistry  # noqa: E402
from server import Hub  # noqa: E402

TOOL = os.environ["OMG_HUB_TOOL"]
TIMEOUT = float(os.environ.get("OMG_E2E_TIMEOUT", "120"))
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class HubTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="omg-hubs-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.out = self.folder / "out"
        self.out.mkdir()
        self.weights = random.Random(3).randbytes(5_000_000)

    def tool(self, *arguments, env=(), fails=False):
        variables = {k: v for k, v in os.environ.items()
                     if "proxy" not in k.lower() and not k.startswith("HF_")}
        variables |= {"HOME": str(self.folder), **dict(env)}
        done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True,
                              timeout=TIMEOUT, check=False, env=variables)
        self.assertEqual(done.returncode, int(fails), done.stdout + done.stderr)
        return json.loads(done.stdout.splitlines()[-1])


class HuggingFace(HubTest):
    def setUp(self):
        super().setUp()
        self.root = self.folder / "root"
        self.files = {
            "config.json": b'{"model_type": "llama"}\n',
            "model-Q4_K_M.gguf": self.weights,
            "model-Q8_0.gguf": self.weights[:1000],
            "sub/with space.txt": b"text\n",
        }
        for path, data in self.files.items():
            self.add("org/model", path, data)
        self.hub = Hub(self.root, tokens=["hf_in", "hf_out"], page=3)
        self.addCleanup(self.hub.stop)

    def add(self, repository, path, data):
        file = self.root / repository / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def ask(self, *arguments, token="", fails=False):
        env = {"HF_ENDPOINT": self.hub.url}
        if token:
            env["HF_TOKEN"] = token
        return self.tool(*arguments, env=env, fails=fails)

    def test_knows_all_files_of_a_repository(self):
        model = self.ask("resolve", "org/model", "--list")
        self.assertEqual({file["path"]: file["size"] for file in model["files"]},
                         {path: len(data) for path, data in self.files.items()})
        weights = next(file for file in model["files"] if file["path"] == "model-Q4_K_M.gguf")
        self.assertEqual(weights["sha256"], sha256(self.weights))
        self.assertRegex(model["commit"], "^[0-9a-f]{40}$")

    def test_fetches_all_files_of_a_repository(self):
        digests = self.ask("fetch", "org/model", self.out, "--list")
        self.assertEqual(digests, {path: sha256(data) for path, data in self.files.items()})
        for path, data in self.files.items():
            self.assertEqual((self.out / path).read_bytes(), data)

    def test_fetches_a_quantisation(self):
        digests = self.ask("fetch", "org/model:Q4_K_M", self.out)
        self.assertEqual(digests["model-Q4_K_M.gguf"], sha256(self.weights))
        self.assertNotIn("model-Q8_0.gguf", digests)

    def test_stands_before_a_gate(self):
        self.add("org/gated", "model-Q8_0.gguf", b"weights")
        gate = {"gated": "manual", "allowed": ["hf_in"]}
        self.add("org/gated", ".hub.json", json.dumps(gate).encode())
        for token in ("", "hf_out"):
            error = self.ask("fetch", "org/gated:Q8_0", self.out, token=token, fails=True)["error"]
            self.assertIn("org/gated", error)
        self.ask("fetch", "org/gated:Q8_0", self.out, token="hf_in")
        self.assertEqual((self.out / "model-Q8_0.gguf").read_bytes(), b"weights")
        log = self.hub.counters.report(True)["log"]
        leaked = [entry for entry in log
                  if entry["key"].startswith("cdn:") and entry["authorization"]]
        self.assertEqual(leaked, [])

    def test_says_that_there_is_no_such_model(self):
        answer = self.ask("resolve", "org/none", "--list", fails=True)
        self.assertEqual(answer["code"], "not_found")

    def test_hostile_lists_touch_nothing(self):
        listing = {"id": "org/model", "sha": "0" * 40, "siblings": [{"rfilename": "../../x.gguf"}]}
        self.hub.faults.set([{"match": "api:*", "body": json.dumps(listing)}])
        self.ask("fetch", "org/model", self.out, "--list", fails=True)
        for fault in ({"endless": True}, {"gzip_bomb": 1 << 28}, {"redirect": "chain"},
                      {"redirect": "loop"}, {"body": "[" * 100_000}, {"cut_after": 10}):
            self.hub.faults.set([{"match": "api:*", **fault}])
            self.ask("fetch", "org/model", self.out, "--list", fails=True)
        self.assertEqual(list(self.out.iterdir()), [])
        self.assertEqual({path.name for path in self.folder.iterdir()}, {"root", "out"})


@unittest.skipUnless(PROGRAM, "docker-registry is not installed")
class Registry(HubTest):
    def setUp(self):
        super().setUp()
        self.registry = DockerRegistry(self.folder / "registry")
        self.registry.__enter__()
        self.addCleanup(self.registry.__exit__)
        self.name = f"http://{self.registry.host}/library/model:v1"
        self.file = self.folder / "weights.gguf"
        self.file.write_bytes(self.weights)

    def test_what_is_pushed_can_be_pulled(self):
        pushed = self.tool("push", self.name, self.file, "a licence")
        self.assertEqual(pushed["already_there"], 0)
        path = "/v2/library/model/manifests/v1"
        with self.registry.get(path, headers={"Accept": MANIFEST}) as got:
            self.assertEqual(got.headers["Docker-Content-Digest"], pushed["manifest"])
            manifest = json.loads(got.read())
        for layer in [manifest["config"], *manifest["layers"]]:
            kept = self.registry.blob_file(layer["digest"]).read_bytes()
            self.assertEqual(f"sha256:{sha256(kept)}", layer["digest"])
            self.assertEqual(len(kept), layer["size"])
        self.assertEqual(manifest["layers"][0]["digest"], f"sha256:{sha256(self.weights)}")

        model = self.tool("resolve", self.name)
        self.assertEqual(model["commit"], pushed["manifest"])
        self.assertEqual(f"sha256:{sha256(model['manifest'].encode())}", pushed["manifest"])
        digests = self.tool("fetch", self.name, self.out)
        self.assertEqual(set(digests.values()), {
            layer["digest"].removeprefix("sha256:")
            for layer in [manifest["config"], *manifest["layers"]]
        })
        self.assertEqual((self.out / "model.gguf").read_bytes(), self.weights)

    def test_what_is_there_is_not_pushed_again(self):
        self.tool("push", self.name, self.file, "a licence")
        again = self.tool("push", self.name, self.file, "a licence")
        self.assertEqual(again["already_there"], 3)

    def test_pulls_what_another_client_pushed(self):
        layers = []
        for kind, data in (("application/vnd.oci.image.config.v1+json", b"{}"),
                           ("application/vnd.ollama.image.model", self.weights)):
            digest = f"sha256:{sha256(data)}"
            self.registry.push_blob("other/model", data, digest)
            layers.append({"mediaType": kind, "digest": digest, "size": len(data)})
        manifest = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": layers[0],
                               "layers": layers[1:]}).encode()
        self.registry.get("/v2/other/model/manifests/latest", "PUT", manifest,
                          {"Content-Type": OCI_MANIFEST}).close()
        name = f"http://{self.registry.host}/other/model"
        self.tool("fetch", name, self.out)
        self.assertEqual((self.out / "model.gguf").read_bytes(), self.weights)
        by_digest = f"{name}@sha256:{sha256(manifest)}"
        self.assertEqual(self.tool("resolve", by_digest)["commit"], f"sha256:{sha256(manifest)}")

    def test_a_blob_that_rotted_is_refused(self):
        self.tool("push", self.name, self.file, "a licence")
        kept = self.registry.blob_file(f"sha256:{sha256(self.weights)}")
        rotten = bytearray(self.weights)
        rotten[1_234_567] ^= 1
        kept.write_bytes(rotten)
        error = self.tool("fetch", self.name, self.out, fails=True)["error"]
        self.assertIn("digest", error)
        self.assertFalse((self.out / "model.gguf").exists())

    def test_what_is_not_there(self):
        name = f"http://{self.registry.host}/library/none:v1"
        self.assertEqual(self.tool("resolve", name, fails=True)["code"], "not_found")


if __name__ == "__main__":
    unittest.main(verbosity=2)
