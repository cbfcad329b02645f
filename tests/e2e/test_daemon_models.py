#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Models that the daemon brings and makes for commands: `omg pull` as a job, `omg create`, and `omg
run` with a daemon elsewhere, whose store is not this one."""

import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.request

from daemon import Daemon, wait_until
from harness import BINARY, TIMEOUT, Screen, made_model, omg, omg_json, omg_ok

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "hub"))
from server import Hub  # noqa: E402

LARGE = 96 << 20  # at 1 MiB/s for each of its connections long enough


class DaemonModels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="omg-dm-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        org = cls.folder / "hub" / "org"
        for name in ("tiny", "large", "gated"):
            (org / f"{name}-GGUF").mkdir(parents=True)
        shutil.copy(made_model(), org / "tiny-GGUF" / "tiny-Q4_K_M.gguf")
        shutil.copy(made_model(kind="Q8_0"), org / "tiny-GGUF" / "tiny-Q8_0.gguf")
        shutil.copy(made_model(), org / "gated-GGUF" / "gated-Q4_K_M.gguf")
        (org / "gated-GGUF" / ".hub.json").write_text(
            json.dumps({"gated": "auto", "allowed": ["hf_allowed"]}))
        # The beginning of a model, and then bytes that take a while.
        (org / "large-GGUF" / "large-Q4_K_M.gguf").write_bytes(
            made_model().read_bytes() + random.Random(5).randbytes(LARGE))
        cls.hub = Hub(cls.folder / "hub", tokens=["hf_allowed"])
        cls.addClassCleanup(cls.hub.stop)
        # The commands know nothing of the hub: what they bring, the daemon has brought.
        cls.daemon = Daemon(env={"HF_ENDPOINT": cls.hub.url})
        cls.addClassCleanup(cls.daemon.stop)
        cls.env = {k: v for k, v in cls.daemon.env.items() if k != "HF_ENDPOINT"}
        cls.daemon.add(made_model("tiny-llama", "Q8_0"), "chat:latest")

    def ok(self, *arguments, **options):
        return omg_ok(*arguments, env=self.env, **options)

    def fails(self, code, *arguments, **env):
        done = omg(*arguments, env=dict(self.env, **env))
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return done.stderr.decode()

    def test_a_pull_is_a_job(self):
        done = omg("pull", "org/tiny-GGUF", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("'org/tiny-GGUF:Q4_K_M' is here", done.stdout.decode())
        self.assertIn("100 % of", done.stderr.decode())
        (result,) = omg_json("pull", "org/tiny-GGUF", "-q", "Q8_0", "--json", env=self.env)
        self.assertEqual(result["name"], "org/tiny-GGUF:Q8_0")
        self.assertEqual(result["size"], made_model(kind="Q8_0").stat().st_size)
        jobs = {job["id"]: job for job in omg_json("jobs", "--json", env=self.env)}
        self.assertEqual(jobs[result["job"]]["state"], "done")
        self.assertEqual(jobs[result["job"]]["result"], "org/tiny-GGUF:Q8_0")
        self.assertEqual(jobs[result["job"]]["warnings"], [])
        self.assertIn("'org/tiny-GGUF:Q4_K_M' is here", self.ok("pull", "org/tiny-GGUF:Q4_K_M"))
        names = [m["name"] for m in omg_json("models", "--json", env=self.env)["models"]]
        self.assertIn("org/tiny-GGUF:Q8_0", names)
        status, _, data = self.daemon.request("DELETE", "/v1/models/org/no-such-GGUF")
        self.assertEqual((status, json.loads(data)["error"]["code"]), (404, "not_found"))
        self.assertNotIn("type", json.loads(data)["error"])

    def test_what_goes_wrong_is_told_as_without_it(self):
        self.assertIn("org/none-GGUF", self.fails(3, "pull", "org/none-GGUF"))
        said = self.fails(2, "pull", "org/gated-GGUF", HF_TOKEN="hf_allowed")
        self.assertIn("HF_TOKEN", said)
        self.assertIn("--direct", said)
        self.fails(1, "pull", "org/tiny-GGUF", "--direct", HF_ENDPOINT="http://127.0.0.1:1")
        self.fails(1, "pull", "org/tiny-GGUF", "--max-rate", "1M", HF_ENDPOINT="http://127.0.0.1:1")
        self.assertIn("there is no model", self.fails(3, "run", "org/none-GGUF", "Hi"))

    def set_faults(self, faults):
        request = urllib.request.Request(f"{self.hub.url}/-/faults", method="POST",
                                         data=json.dumps(faults).encode())
        urllib.request.urlopen(request).close()

    def slow_pull(self):
        """A pull in a process of its own, and its job once it has something."""
        process = subprocess.Popen([str(BINARY), "pull", "org/large-GGUF"], env=self.env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        self.addCleanup(lambda: (process.kill(), process.communicate())
                        if process.returncode is None else None)

        def job():
            for each in omg_json("jobs", "--json", env=self.env):
                if each["subject"].startswith("org/large") and each["completed"] > 0:
                    return each["state"] == "running" and each["id"]
            return False

        return process, wait_until(job, what="the job of the pull")

    def interrupt(self, process):
        """Its last words."""
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, 130, err.decode())
        return err.decode()

    def state_of(self, job):
        return self.daemon.json("GET", f"/v1/jobs/{job}")["state"]

    def test_an_interrupt_ends_the_pull_that_it_began(self):
        self.set_faults([{"match": "cdn:*large*", "bytes_per_second": 1 << 20}])
        self.addCleanup(self.set_faults, [])
        first, job = self.slow_pull()
        joined, same = self.slow_pull()
        self.assertEqual(same, job)
        # It watches once it has shown how far the other has come.
        self.assertTrue(joined.stderr.readline())
        self.assertIn("goes on", self.interrupt(joined))
        self.assertEqual(self.state_of(job), "running")
        self.assertIn("what has arrived is kept", self.interrupt(first))
        wait_until(lambda: self.state_of(job) == "cancelled", what="the end of the job")

    def test_a_model_of_a_modelfile(self):
        folder = self.folder / "made"
        (folder / "files").mkdir(parents=True)
        shutil.copy(made_model(kind="F16"), folder / "files" / "base.gguf")
        modelfile = folder / "Modelfile"
        modelfile.write_text('FROM files/base.gguf\nPARAMETER temperature 0\nPARAMETER num_ctx 64\n'
                             'SYSTEM """You are a pirate."""\nMESSAGE user Ahoy\n'
                             'MESSAGE assistant Arr\n')
        made = omg("create", "pirate", "-f", modelfile, env=self.env)
        self.assertEqual(made.returncode, 0, made.stderr.decode())
        self.assertIn("sending base.gguf: 100 %", made.stderr.decode())
        self.assertIn("created 'pirate'", made.stderr.decode())
        shown = self.daemon.json("POST", "/api/show", {"model": "pirate"})
        self.assertEqual(shown["system"], "You are a pirate.")
        self.assertIn("temperature", shown["parameters"])
        self.assertEqual([m["content"] for m in shown["messages"]], ["Ahoy", "Arr"])
        self.assertEqual(shown["details"]["quantization_level"], "F16")
        answer = self.ok("run", "pirate", "Hello", "--max-tokens", 4)
        self.assertEqual(self.ok("chat", "pirate", "Hello", "--max-tokens", 4), answer)

        # The bytes are there: they are not sent again, and are made smaller on request.
        again = omg("create", "small", "-f", modelfile, "-q", "Q8_0", "--system", "Other",
                    env=self.env)
        self.assertEqual(again.returncode, 0, again.stderr.decode())
        self.assertNotIn("sending", again.stderr.decode())
        small = self.daemon.json("POST", "/api/show", {"model": "small"})
        self.assertEqual(small["details"]["quantization_level"], "Q8_0")
        self.assertEqual(small["system"], "Other")

        self.ok("create", "captain", "--from", "pirate", "--temperature", "0.5", "--stop", "x")
        captain = self.daemon.json("POST", "/api/show", {"model": "captain"})
        self.assertEqual(captain["system"], "You are a pirate.")
        self.assertIn("0.5", captain["parameters"])

    def test_what_cannot_be_made_is_refused(self):
        folder = self.folder / "wrong"
        folder.mkdir()
        modelfile = folder / "Modelfile"

        def refused(code, text):
            modelfile.write_text(text)
            return self.fails(code, "create", "wrong", "-f", modelfile)

        self.assertIn("such file", refused(3, "FROM ./none.gguf\n"))
        self.assertIn("org/none-GGUF", refused(1, "FROM org/none-GGUF\n"))
        self.assertIn("line 1", refused(2, "FORM x\n"))
        self.assertIn("folder", refused(1, f"FROM {folder}\n"))
        (folder / "junk.gguf").write_bytes(b"no model")
        self.assertIn("GGUF", refused(1, "FROM junk.gguf\n"))
        self.assertIn("adapter", refused(1, "FROM chat\nADAPTER x.gguf\n"))
        self.assertIn("Modelfile", self.fails(2, "create", "wrong"))
        self.assertIn("Q9_9", self.fails(2, "create", "wrong", "--from", "chat", "-q", "Q9_9"))
        names = [m["name"] for m in self.daemon.json("GET", "/api/tags")["models"]]
        self.assertNotIn("wrong:latest", names)

    def test_a_daemon_elsewhere_has_its_own_store(self):
        here = self.folder / "here"
        env = dict(self.env, OMG_HOST=f"127.0.0.1:{self.daemon.port}", OMG_SOCKET="none",
                   OMG_MODELS=str(here / "models"))
        asked = ["Hi", "--max-tokens", "4", "--temperature", "0"]
        expected = self.ok("run", "chat", *asked)
        self.assertEqual(omg_ok("run", "chat", *asked, env=env), expected)
        self.assertEqual(omg_ok("generate", "chat", *asked, env=env).strip(), expected.strip())
        self.assertEqual(omg("run", "org/tiny-GGUF:Q8_0", *asked, env=env).returncode, 0)
        names = [m["name"] for m in self.daemon.json("GET", "/api/tags")["models"]]
        self.assertIn("org/tiny-GGUF:Q8_0", names)
        self.assertEqual(list(here.glob("models/manifests/**/*.json")), [])
        screen = Screen("run", "chat", env=dict(env, TERM="xterm"))
        self.addCleanup(screen.close)
        screen.expect("context of")
        screen.line("/show info")
        screen.expect("family +llama")
        screen.line("/show license")
        screen.expect("apache-2.0")
        screen.line("/bye")
        self.assertEqual(screen.wait(), 0)
        missing = omg("run", "org/none-GGUF", "Hi", env=env)
        self.assertEqual(missing.returncode, 3, missing.stderr)
        nobody = omg("run", "chat", "Hi", env=dict(env, OMG_HOST="127.1.2.3:1"))
        self.assertEqual(nobody.returncode, 4, nobody.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
