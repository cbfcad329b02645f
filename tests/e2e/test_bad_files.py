# SPDX-License-Identifier: Apache-2.0
"""Broken model files against every command: an error or an answer, never a crash, never a wait."""

import os
import random
import time
import unittest

from harness import FOLDER, REFERENCE, any_model, made_model, needs_reference, omg

# The promise is one second; sanitizers and busy machines get a multiple of it.
SECONDS = float(os.environ.get("OMG_E2E_SLOWNESS", "1")) * 5


def commands(model):
    return [
        ["show", model, "--tensors"],
        ["tokenize", model, "Hello", "--json"],
        ["logits", model, "--tokens", "1,2,3"],
        ["generate", model, "Hello", "--raw", "--max-tokens", "2", "--temperature", "0"],
        ["run", model, "Hello", "--max-tokens", "2"],
        ["bench", model, "-p", "2", "-n", "1", "-r", "1"],
        ["quantize", model, FOLDER / "out.gguf", "Q8_0"],
    ]


class BadFiles(unittest.TestCase):
    def drive(self, data, may_work):
        """Runs every command on a file with these bytes."""
        path = FOLDER / "bad.gguf"
        path.write_bytes(data)
        for command in commands(path):
            with self.subTest(command[0]):
                started = time.monotonic()
                done = omg(*command)
                self.assertLess(time.monotonic() - started, SECONDS, command)
                if may_work and done.returncode == 0:
                    continue
                self.assertEqual(done.returncode, 1, (command, done.stderr))
                self.assertTrue(done.stderr.startswith(b"Error: "), done.stderr[-500:])
        self.assertFalse((FOLDER / "out.gguf").exists() and not may_work)

    def tearDown(self):
        for path in FOLDER.glob("out.gguf*"):
            path.unlink()

    def test_truncated(self):
        data = any_model().read_bytes()
        header = min(len(data), 40_000)
        for size in [0, 1, 4, 8, 23, 24, 100, header // 2, header, len(data) // 2, len(data) - 1]:
            with self.subTest(size=size):
                self.drive(data[:size], may_work=False)

    def test_flipped_bits(self):
        generator = random.Random(1)
        original = made_model().read_bytes()
        for round_number in range(12):
            data = bytearray(original)
            # The header is what parsers trust; half of the rounds aim at its first bytes.
            reach = 4096 if round_number % 2 else 64
            for _ in range(1 + round_number % 3):
                data[generator.randrange(reach)] ^= 1 << generator.randrange(8)
            with self.subTest(round=round_number):
                self.drive(bytes(data), may_work=True)

    def test_counts_that_lie(self):
        original = any_model().read_bytes()
        for offset in [8, 16]:  # number of tensors, number of metadata entries
            for value in [2**63, 2**64 - 1, 2**32, 10**9]:
                data = bytearray(original)
                data[offset : offset + 8] = value.to_bytes(8, "little")
                with self.subTest(offset=offset, value=value):
                    self.drive(bytes(data), may_work=False)

    def test_weights_that_are_no_numbers(self):
        data = bytearray(made_model(kind="F32").read_bytes())
        middle = len(data) // 2 // 4 * 4
        data[middle : middle + 65536] = b"\xff" * 65536  # every one a NaN
        path = FOLDER / "nan.gguf"
        path.write_bytes(data)
        for command in commands(path)[2:5]:
            with self.subTest(command[0]):
                done = omg(*command)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn(b"not finite", done.stderr)
                self.assertEqual(done.stdout, b"")

    def test_other_files(self):
        for data in [b"GGML" + bytes(1000), bytes(5000), b"\x7fELF" + os.urandom(5000)]:
            self.drive(data, may_work=False)

    @needs_reference
    def test_a_vocabulary_without_weights(self):
        path = REFERENCE / "tokenizers" / "llama-bpe.gguf"
        for command in commands(path)[2:6]:
            with self.subTest(command[0]):
                done = omg(*command)
                self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(omg("show", path).returncode, 0)


if __name__ == "__main__":
    unittest.main()
