# SPDX-License-Identifier: Apache-2.0
"""The command line itself: overview, help, version, exit codes, closed pipes."""

import pathlib
import re
import socket
import subprocess
import tempfile
import unittest

from daemon import Daemon
from harness import BINARY, Screen, any_model, environment, omg, omg_json, omg_ok

COMMANDS = ["run", "generate", "show", "info", "doctor", "bench", "perplexity", "quantize",
            "tokenize", "render", "logits"]


class Overview(unittest.TestCase):
    def test_it_tells_what_it_can_do(self):
        text = omg_ok("--help")
        self.assertEqual(text, omg_ok("help"))
        for command in COMMANDS:
            self.assertIn(f"  {command} ", text)

    def test_version(self):
        self.assertRegex(omg_ok("--version"), r"^ohmygpu version \d+\.\d+\.\d+\n$")

    def test_every_command_has_help(self):
        for command in COMMANDS:
            with self.subTest(command):
                text = omg_ok(command, "--help")
                self.assertEqual(text, omg_ok("help", command))
                self.assertIn(f"omg {command}", text)
                for line in text.splitlines():
                    self.assertLessEqual(len(line), 120, line)

    def test_the_short_name_stands_beside_the_binary(self):
        short = BINARY.parent / "omg"
        self.assertTrue(short.is_symlink())
        done = subprocess.run([short, "--version"], stdout=subprocess.PIPE, check=True)
        self.assertEqual(done.stdout.decode(), omg_ok("--version"))


class Welcome(unittest.TestCase):
    """`omg` alone."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="omg-welcome-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.models = self.folder / "models"
        self.env = environment(
            OMG_MODELS=str(self.models), XDG_CONFIG_HOME=str(self.folder / "config"),
            XDG_RUNTIME_DIR=str(self.folder), OMG_MEMORY_RESERVE="0")

    def next_commands(self, text):
        return re.findall(r"(?m)^  (omg .*?)(?:   .*)?$", text.split("\nNext\n")[1])

    def test_nothing_is_here_yet(self):
        text = omg_ok(env=self.env)
        self.assertTrue(text.startswith("OhMyGPU "), text)
        self.assertIn("\nInstalled\n  nothing yet", text)
        self.assertIn("\nRunning\n  no daemon", text)
        self.assertTrue(text.endswith("\nAll commands: omg --help\n"), text)
        self.assertNotIn("\x1b", text)
        self.assertFalse(self.models.exists(), "a greeting makes no store")
        commands = self.next_commands(text)
        self.assertEqual(len(commands), 3)
        self.assertEqual(commands[0], "omg run guide")
        suggested = re.findall(r"(?m)^  (\S+) +[\d.]+ GB to download", text)
        self.assertIn("omg doctor", commands)
        if suggested:
            self.assertIn(f"omg pull {suggested[0]}", commands)
            self.assertLessEqual(set(suggested), set(self.catalog()))

    def catalog(self):
        return [entry["alias"] for entry in omg_json("catalog", "--json", env=self.env)]

    def test_models_are_listed_last_used_first(self):
        for name in ["first", "second", "third"]:
            omg_ok("import", any_model(), "--name", name, env=self.env)
        omg_ok("generate", "second", "Once", "--raw", "--max-tokens", 1, env=self.env)
        text = omg_ok(env=self.env)
        self.assertRegex(text, r"\nInstalled\n  second +[\d.]+ [KM]iB   used just now\n")
        for name in ["first", "third"]:
            self.assertRegex(text, rf"\n  {name} .*never used\n")
        self.assertEqual(self.next_commands(text)[:2], ["omg run second", "omg serve --detach"])

    def test_what_runs(self):
        with Daemon() as daemon:
            daemon.add(any_model(), "tiny")
            text = omg_ok(env=daemon.env)
            self.assertIn("\nRunning\n  the daemon, and no model is loaded\n", text)
            self.assertNotIn("--detach", text)
            daemon.json("POST", "/api/generate", {"model": "tiny", "keep_alive": "5m"})
            text = omg_ok(env=daemon.env)
            self.assertRegex(text, r"\nRunning\n  tiny +[\d.]+ [KMG]iB of memory\n")
            self.assertEqual(self.next_commands(text)[:2], ["omg run tiny", "omg ps"])

    def test_a_daemon_that_hangs_is_not_waited_for(self):
        with socket.socket(socket.AF_UNIX) as hanging:
            hanging.bind(str(self.folder / "ohmygpu.sock"))
            hanging.listen(8)
            self.assertIn("\nRunning\n  no daemon", omg_ok(env=self.env, timeout=30))

    def test_models_of_a_store_that_cannot_be_written_are_listed(self):
        omg_ok("import", any_model(), "--name", "mine", env=self.env)
        (self.models / "lock").unlink()
        (self.models / "lock").mkdir()  # nobody can open it, root neither
        self.assertRegex(omg_ok(env=self.env), r"\nInstalled\n  mine .*never used\n")

    def test_what_is_broken_is_said(self):
        self.models.write_text("x", encoding="utf-8")
        text = omg_ok(env=self.env)
        self.assertRegex(text, r"\nInstalled\n  ! .*models")
        self.assertEqual(self.next_commands(text)[0], "omg doctor")
        text = omg_ok(env={**self.env, "OMG_PORT": "many"})
        self.assertRegex(text, r"^OhMyGPU .*\n! OMG_PORT: ")

    def test_on_a_terminal_it_has_style(self):
        screen = Screen(env={**self.env, "TERM": "xterm"})
        self.addCleanup(screen.close)
        self.assertEqual(screen.wait(), 0)
        self.assertIn("\x1b[1mNext\x1b[0m", screen.text)
        screen = Screen(env={**self.env, "TERM": "xterm", "NO_COLOR": "1"})
        self.assertEqual(screen.wait(), 0)
        self.assertNotIn("\x1b", screen.text)


class ExitCodes(unittest.TestCase):
    def check(self, code, *arguments, says="", env=None):
        done = omg(*arguments, env=env)
        self.assertEqual(done.returncode, code, (arguments, done.stderr))
        self.assertTrue(done.stderr.startswith(b"Error: "), done.stderr)
        self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)
        self.assertIn(says, done.stderr.decode())
        self.assertEqual(done.stdout, b"")

    def test_usage(self):
        model = any_model()
        self.check(2, "shwo", says="did you mean 'omg show'?")
        self.check(2, "nonsense", says="omg --help")
        self.check(2, "help", "nonsense")
        self.check(2, "show", says="MODEL")
        self.check(2, "show", model, "--no-such-flag")
        self.check(2, "generate", model, "x", "--raw", "--temperature", "nan", says="temperature")
        self.check(2, "generate", model, "x", "--raw", "--temperature", "-1", says="temperature")
        self.check(2, "generate", model, "x", "--raw", "--top-p", "1.5", says="top_p")
        self.check(2, "generate", model, "x", "--raw", "--top-k", "2.5", says="top_k")
        self.check(2, "generate", model, "x", "--raw", "--max-tokens", "99999999999")
        self.check(2, "generate", model, "x", "--raw", "--stop", "", says="stop")
        self.check(2, "generate", model, "x", "--raw", "--ctx", "0")
        self.check(2, "generate", model, "x", "--raw", "--threads", "0")
        self.check(2, "generate", model, "x", "--raw", "--kv-type", "q2")
        self.check(2, "logits", model, "--tokens", "1,,2", says="--tokens")
        self.check(2, "logits", model, "--tokens", "1,2", "--last", "3", says="--last")
        self.check(2, "logits", model, "--tokens", "99999999", says="vocabulary")
        self.check(2, "bench", model, "-p", "0", "-n", "0")

    def test_not_found(self):
        for command in ["run", "generate", "show", "bench", "tokenize"]:
            with self.subTest(command):
                self.check(3, command, "/no/such/model.gguf", says="/no/such/model.gguf")
        self.check(3, "logits", "/no/such/model.gguf", "--tokens", "1", says="not found")
        self.check(3, "render", "--template", "/no/such.jinja", "--input", "/dev/null")

    def test_instruction_sets(self):
        env = environment(OMG_CPU_ISA="bogus")
        self.check(2, "info", says="bogus", env=env)
        self.check(2, "generate", any_model(), "x", "--raw", says="bogus", env=env)

    def test_a_directory_is_no_model(self):
        for command in ["run", "generate", "bench"]:
            self.check(1, command, "/", says="directory")
        for command in ["show", "tokenize"]:  # these also take the folder of a tokenizer
            self.check(3, command, "/", says="neither a tokenizer.json")


class Pipes(unittest.TestCase):
    def test_a_reader_that_leaves_ends_the_command_quietly(self):
        process = subprocess.Popen(
            [BINARY, "generate", any_model(), "Once", "--raw", "--max-tokens", "100"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        process.stdout.close()
        message = process.stderr.read()
        process.stderr.close()
        self.assertNotEqual(process.wait(), 0)
        self.assertEqual(message, b"")

    def test_a_full_disk_is_an_error(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [BINARY, "--help"], stdout=full, stderr=subprocess.PIPE, check=False
            )
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"standard output", done.stderr)


if __name__ == "__main__":
    unittest.main()
