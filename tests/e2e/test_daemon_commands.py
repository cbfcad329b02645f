#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Commands through the daemon: they start one where none runs, and say the same as without it."""

import json
import pathlib
import shutil
import subprocess
import tempfile
import threading
import unittest

from daemon import wait_until
from harness import BINARY, Screen, any_model, environment, made_model, omg, omg_json, omg_ok

PROMPT = ["generate", "text", "Once upon a time", "--raw", "--temperature", "0",
          "--max-tokens", "24"]


class Commands(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="omg-c-"))
        self.env = environment(
            OMG_DIRECT="0", OMG_PORT="0", XDG_RUNTIME_DIR=str(self.folder),
            XDG_STATE_HOME=str(self.folder / "state"), OMG_MODELS=str(self.folder / "models"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.addCleanup(omg, "serve", "stop", env=self.env)
        self.ok("import", any_model(), "--name", "text:latest")

    def ok(self, *arguments, **options):
        return omg_ok(*arguments, env=self.env, **options)

    def test_a_daemon_is_started_and_gives_the_same_text(self):
        self.assertEqual(omg("status", env=self.env).returncode, 4)
        alone = self.ok(*PROMPT, "--direct")
        self.assertEqual(omg("status", env=self.env).returncode, 4, "it started a daemon")
        self.assertEqual(self.ok(*PROMPT), alone)
        runs = omg_json("ps", "--json", env=self.env)
        self.assertEqual([run["model"] for run in runs], ["text:latest"])
        self.assertEqual(self.ok(*PROMPT), alone)
        status = omg_json("status", "--json", env=self.env)
        self.assertEqual(len(status["runs"]), 1)
        self.assertIn("text:latest", self.ok("ps"))
        self.assertIn("sandbox", self.ok("logs", "text:latest"))
        self.assertIn("unloaded", self.ok("stop", "text"))
        wait_until(lambda: omg_json("ps", "--json", env=self.env) == [], what="an empty list")
        self.assertIn("nothing is loaded", self.ok("ps"))
        self.assertIn("ended", self.ok("serve", "stop"))
        self.assertEqual(omg("status", env=self.env).returncode, 4)

    def test_detached_it_writes_a_log_and_stands_alone(self):
        started = self.ok("serve", "--detach")
        self.assertIn("listening on http://127.0.0.1:", started)
        second = omg("serve", "--detach", env=self.env)
        self.assertEqual(second.returncode, 1)
        self.assertIn(b"already", second.stderr)
        self.ok(*PROMPT)
        log = (self.folder / "state" / "ohmygpu" / "daemon.log").read_text()
        self.assertIn("'text:latest': loaded", log)

    def test_events_tell_what_happens(self):
        self.ok("serve", "--detach")
        found = threading.Event()

        def ask():  # again and again: what came before the feed began is not told
            while not found.is_set():
                self.ok(*PROMPT)

        asking = threading.Thread(target=ask)
        with subprocess.Popen([str(BINARY), "events", "--json"], stdout=subprocess.PIPE,
                              env=self.env) as events:
            asking.start()
            try:
                for line in events.stdout:
                    event = json.loads(line)
                    if event["type"] == "answer_finished":
                        break
                self.assertEqual(event["model"], "text:latest")
                self.assertEqual(event["usage"]["generated_tokens"], 24)
            finally:
                found.set()
                asking.join()
                events.terminate()

    def test_what_belongs_to_the_daemon_is_refused(self):
        done = omg(*PROMPT, "--threads", "1", env=self.env)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"--direct", done.stderr)
        missing = omg("generate", "no-such-model", "x", env=self.env)
        self.assertEqual(missing.returncode, 3)
        self.assertIn(b"no-such-model", missing.stderr)
        elsewhere = omg("ps", env=dict(self.env, OMG_HOST="127.1.2.3", OMG_PORT="1",
                                       OMG_SOCKET="none"))
        self.assertEqual(elsewhere.returncode, 4)

    def test_a_chat_at_a_terminal(self):
        self.ok("import", made_model("tiny-llama", "Q8_0"), "--name", "chat:latest")
        screen = Screen("run", "chat", "--max-tokens", "5", "--temperature", "0",
                        env=dict(self.env, TERM="xterm"))
        screen.expect("context of")
        screen.line("Hello")
        screen.expect(r"\n.*\n")
        screen.line("/bye")
        self.assertEqual(screen.wait(), 0)
        self.assertEqual([run["model"] for run in omg_json("ps", "--json", env=self.env)],
                         ["chat:latest"])

    def test_the_service_is_a_unit_of_systemd(self):
        unit = self.ok("service", "print")
        self.assertIn(f'ExecStart="{BINARY.resolve()}" serve', unit)
        config = self.folder / "config"
        done = omg("service", "install", env=dict(self.env, XDG_CONFIG_HOME=str(config),
                                                  PATH=str(self.folder)))
        self.assertEqual(done.returncode, 0, done.stderr)
        path = config / "systemd" / "user" / "ohmygpu.service"
        self.assertEqual(path.read_text(), unit)
        self.assertIn(b"systemctl", done.stderr)  # which is not there in the test


if __name__ == "__main__":
    unittest.main(verbosity=2)
