# SPDX-License-Identifier: Apache-2.0
"""The command line itself: overview, help, version, exit codes, closed pipes."""

import subprocess
import unittest

from harness import BINARY, any_model, environment, omg, omg_ok

COMMANDS = ["run", "generate", "show", "info", "bench", "perplexity", "quantize", "tokenize",
            "render", "logits"]


class Overview(unittest.TestCase):
    def test_alone_it_tells_what_it_can_do(self):
        text = omg_ok()
        self.assertEqual(text, omg_ok("--help"))
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
